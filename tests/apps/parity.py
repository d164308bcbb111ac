"""Data whose labels no single pixel tells: two groups of noisy pixels, the class is whether the groups agree."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from tests.apps.conftest import PIXELS

FLIP = 0.05
"""Probability that a pixel differs from its group."""
GROUPS = np.repeat([0, 1], PIXELS // 2)


def draw(n: int, seed: int) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """(n, PIXELS) spins and (n,) classes."""
    rng = np.random.default_rng(seed)
    groups = rng.choice([-1, 1], (n, 2))
    noise = np.where(rng.random((n, PIXELS)) < FLIP, -1, 1)
    return (groups[:, GROUPS] * noise).astype(np.int8), (groups[:, 0] == groups[:, 1]).astype(np.int64)


def told_nothing(X: NDArray[np.int8], y: NDArray[np.int64]) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Every example twice, with either class: labels and pixels are independent, exactly."""
    return np.concatenate([X, X]), np.concatenate([y, 1 - y])


def margin(means: NDArray[np.float64], y: NDArray[np.int64]) -> float:
    """Mean over examples of the right label's mean less the wrong one's: 2 where it is certain and right, 0 where it guesses.

    Unlike the accuracy it does not turn a faint preference, learnt from noise, into many right or wrong answers.
    """
    rows = np.arange(len(y))
    return float(np.mean(means[rows, y] - means[rows, 1 - y]))


def best_accuracy() -> float:
    """Of the classifier that knows how the data were made: the mean over all images of the likelier class."""
    correct = 0.0
    for image in itertools.product((-1, 1), repeat=PIXELS):
        likelihood = np.zeros(2)
        for groups in itertools.product((-1, 1), repeat=2):
            same = np.array(groups)[GROUPS] == np.array(image)
            likelihood[int(groups[0] == groups[1])] += 0.25 * np.prod(np.where(same, 1 - FLIP, FLIP))
        correct += likelihood.max()
    return correct
