"""Trainability diagnostics of Boltzmann machines: how long a chip has to sample before a gradient can be told from its noise.

`statistics` measures records of samples, `spectra` gives exact chains of small machines, `tempering` places rungs of replica
exchange, `measure` does it on a chip; `gaps`, `on_chip` and `rungs` reproduce the claims that docs/trainability.md lists.
"""

from tsu_apps.trainability.exchange import Exchange, exchange
from tsu_apps.trainability.measure import Measured, Pilot, deploy, measure, pilot
from tsu_apps.trainability.planted import Planted, planted
from tsu_apps.trainability.spectra import Chain, Spectrum, effective_gap, glauber, spectrum, sweep
from tsu_apps.trainability.statistics import (
    Autocorrelation,
    WindowErrors,
    autocorrelation,
    magnetisation,
    pair_products,
    signal_to_noise,
    window_errors,
    window_mse,
)
from tsu_apps.trainability.tempering import (
    Acceptance,
    Ladder,
    energies,
    enumerated_acceptance,
    enumerated_moments,
    equal_length_ladder,
    ladder,
    measured_acceptance,
    sampled_acceptance,
    thermodynamic_length,
)

__all__ = [
    "Acceptance",
    "Autocorrelation",
    "Chain",
    "Exchange",
    "Ladder",
    "Measured",
    "Pilot",
    "Planted",
    "Spectrum",
    "WindowErrors",
    "autocorrelation",
    "deploy",
    "effective_gap",
    "energies",
    "enumerated_acceptance",
    "enumerated_moments",
    "equal_length_ladder",
    "exchange",
    "glauber",
    "ladder",
    "magnetisation",
    "measure",
    "measured_acceptance",
    "pair_products",
    "pilot",
    "planted",
    "sampled_acceptance",
    "signal_to_noise",
    "spectrum",
    "sweep",
    "thermodynamic_length",
    "window_errors",
    "window_mse",
]
