"""Linear algebra and natural gradients by what Gaussian cells do on their own: they settle to A^-1 b and jitter by T A^-1.

>>> solution = solve(chip, A, b, refinements=2)
>>> solution.x, solution.residual
>>> inverse(chip, A).matrix
>>> rule = NaturalGradient(chip, time=30.0, damping=0.03, relaxation=relaxation(chip))
>>> rule.direction(fisher, gradient)
"""

from tsu_apps.linear.averages import autocovariances, correlation_time
from tsu_apps.linear.natural import NaturalGradient, relaxed
from tsu_apps.linear.softmax import Rule, Softmax, train
from tsu_apps.linear.stationary import Inverse, Looks, Solution, inverse, relaxation, solve

__all__ = [
    "Inverse",
    "Looks",
    "NaturalGradient",
    "Rule",
    "Softmax",
    "Solution",
    "autocovariances",
    "correlation_time",
    "inverse",
    "relaxation",
    "relaxed",
    "solve",
    "train",
]
