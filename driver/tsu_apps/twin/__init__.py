"""The digital twin of a chip: what is measured of it through its pins, as a configuration, and what it predicts.

>>> from tsu_apps.twin import measure, predict, save_config
>>> fit = measure(chip)
>>> save_config(fit, "twin.toml")
>>> prediction = predict(fit, chip.program_couplings(J, h))
"""

from tsu_apps.twin.config import config_text, save_config
from tsu_apps.twin.fit import Drift, Fit, FitError
from tsu_apps.twin.measuring import measure
from tsu_apps.twin.prediction import Prediction, observed, predict, stationary

__all__ = [
    "Drift",
    "Fit",
    "FitError",
    "Prediction",
    "config_text",
    "measure",
    "observed",
    "predict",
    "save_config",
    "stationary",
]
