"""Boltzmann machines on the host, without a chip: exact laws of small ones, samples, likelihoods, landscapes.

>>> model = Boltzmann(chip.topology.pairs, weights, biases)
>>> print(log_likelihood(model, visible, X))
-16.602 +- 0.020 nats
"""

from tsu_apps.models.boltzmann import Boltzmann, Conditioned
from tsu_apps.models.exact import Exact, exact, exact_log_z, log_marginals, log_weights, state_numbers, state_spins
from tsu_apps.models.gibbs import Gibbs
from tsu_apps.models.landscape import (
    Balance,
    Census,
    Survival,
    balance,
    basin_survival,
    census,
    flip_rate,
    quench,
    saturation,
)
from tsu_apps.models.likelihood import Likelihood, kl_to, log_likelihood, pseudo_likelihood
from tsu_apps.models.partition import LogZ, annealed_log_z, trajectory_log_z

__all__ = [
    "Balance",
    "Boltzmann",
    "Census",
    "Conditioned",
    "Exact",
    "Gibbs",
    "Likelihood",
    "LogZ",
    "Survival",
    "annealed_log_z",
    "balance",
    "basin_survival",
    "census",
    "exact",
    "exact_log_z",
    "flip_rate",
    "kl_to",
    "log_likelihood",
    "log_marginals",
    "log_weights",
    "pseudo_likelihood",
    "quench",
    "saturation",
    "state_numbers",
    "state_spins",
    "trajectory_log_z",
]
