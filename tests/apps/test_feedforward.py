"""Feed-forward networks on p-bits: means are those of the exact law, digits are told as well as by the network, work is counted.

Small networks are enumerated. A chip's means are compared over planes that hold copies of one example: their lives are
independent, so that the scatter over planes gives the error whatever the memory of a plane.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

import tsu_driver as tsu
from serving import config, opened
from tsu_apps.feedforward import FeedForward, accuracy, twin

Floats = np.ndarray[Any, np.dtype[np.float64]]

PLANES, SIGMAS = 64, 5
SIZES = (3, 4, 2)
FINE = config({"kind": "dense", "cells": 12}, PLANES, coupling={"dac": {"bits": 12}}, bias={"dac": {"bits": 12}})
DIGITS = {"kind": "bipartite", "visible": 74, "hidden": 64}
ERRORS: dict[str, Any] = {
    "coupling": {"gain_sigma": 0.02, "dac": {"offset_sigma_lsb": 0.5, "gain_sigma": 0.02, "element_sigma": 0.02}},
    "bias": {"dac": {"full_scale": 4.0, "offset_sigma_lsb": 0.5, "gain_sigma": 0.02, "element_sigma": 0.02}},
    "cell": {"kind": "pbit", "slope_sigma": 0.05, "offset_sigma_kt": 0.2},
    "network": {"crosstalk": 0.015, "ir_drop": 0.05},
}
"""Static errors as of typical presets."""


def network(sizes: tuple[int, ...], seed: int, scale: float = 0.5) -> tuple[list[Floats], list[Floats]]:
    """Random weights and biases."""
    rng = np.random.default_rng(seed)
    pairs = list(itertools.pairwise(sizes))
    return [rng.normal(0, scale, pair) for pair in pairs], [rng.normal(0, 0.3, after) for _, after in pairs]


def spins(n: int) -> Floats:
    """(2^n, n) all configurations."""
    return np.array(list(itertools.product((-1.0, 1.0), repeat=n)))


def directed_means(weights: list[Floats], biases: list[Floats], eps: float, x: Floats) -> Floats:
    """Exact means of the outputs of a directed network: sums over all configurations, layer by layer."""
    states, p = x[None, :], np.ones(1)
    for k, (w, b) in enumerate(zip(weights, biases, strict=True)):
        up = (1 + np.tanh(eps**k * (states @ w + b))) / 2
        after = spins(w.shape[1])
        p = p @ np.prod(np.where(after[None] > 0, up[:, None], 1 - up[:, None]), axis=2)
        states = after
    return np.asarray(p @ states)


def symmetric_means(weights: list[Floats], biases: list[Floats], eps: float, x: Floats) -> Floats:
    """Exact means of the outputs under the Boltzmann law of a network of one hidden layer."""
    hidden, outputs = spins(SIZES[1]), spins(SIZES[2])
    energy = -(hidden @ (x @ weights[0] + biases[0]))[:, None] - eps * (hidden @ weights[1] + biases[1]) @ outputs.T
    p = np.exp(-energy)
    return np.asarray((p / p.sum()).sum(axis=0) @ outputs)


def measured(net: FeedForward, x: Floats, sweeps: int) -> tuple[Floats, Floats]:
    """(means, standard errors) of the outputs for one example in all planes."""
    means = net.label_means(np.tile(x, (PLANES, 1)), sweeps)
    return means.mean(axis=0), means.std(axis=0, ddof=1) / np.sqrt(PLANES)


@pytest.fixture(scope="module")
def fine() -> Iterator[tsu.Chip]:
    with opened(FINE) as (_, chip):
        yield chip


# Means


LAWS: dict[str, tuple[float | None, Callable[..., Floats], Callable[..., Floats]]] = {
    "symmetric": (None, symmetric_means, directed_means),
    "directed": (0.0, directed_means, symmetric_means),
}


@pytest.mark.parametrize("law", list(LAWS))
@pytest.mark.parametrize("eps", [0.5, 1.0])
def test_means_are_those_of_the_exact_law(fine: tsu.Chip, law: str, eps: float) -> None:
    """Four examples, 64 planes of 1,000 sweeps: errors about .003, tolerance 5 of them and .003 for codes of 12 bits. With back-
    couplings the law is Boltzmann's, without it is the directed network's; each refuses the other, and half of eps."""
    back, right, wrong = LAWS[law]
    weights, biases = network(SIZES, 3, 0.9)
    net = FeedForward(fine, weights, biases, eps, back)
    others = []
    for x in spins(SIZES[0])[[0, 3, 5, 6]]:
        mean, error = measured(net, x, 1000)
        tolerance = SIGMAS * error + 0.003
        assert np.all(np.abs(mean - right(weights, biases, eps, x)) < tolerance)
        others.append([np.abs(mean - f(weights, biases, e, x)) / tolerance for f, e in ((wrong, eps), (right, eps / 2))])
    assert np.all(np.max(others, axis=(0, 2)) > 1)


def test_deep_networks(fine: tsu.Chip) -> None:
    """Two hidden layers, directed: the exact law; that of eps^1 in the last layer, or of shuffled hidden weights, is refused."""
    weights, biases = network((3, 3, 3, 2), 5, 0.9)
    net = FeedForward(fine, weights, biases, 0.6, 0.0)
    x = np.array([1.0, -1.0, 1.0])
    mean, error = measured(net, x, 1000)
    tolerance = SIGMAS * error + 0.003
    assert np.all(np.abs(mean - directed_means(weights, biases, 0.6, x)) < tolerance)
    other = [*weights[:2], weights[2] / 0.6], [*biases[:2], biases[2] / 0.6]
    shuffled = [weights[0], weights[1][::-1], weights[2]], biases
    for wrong in (other, shuffled):
        assert np.any(np.abs(mean - directed_means(*wrong, 0.6, x)) > tolerance)


def test_the_twin_is_near_the_directed_law() -> None:
    """Five random networks, all examples: rms .018 with the noise of 10 hidden cells, ten times that without it."""
    with_noise, without = [], []
    for seed in range(5):
        weights, biases = network((3, 10, 2), seed, 0.4)
        for x in spins(3):
            exact = directed_means(weights, biases, 1.0, x)
            with_noise.append(twin.means(weights, biases, 1.0, x[None])[0] - exact)
            without.append(np.tanh(np.tanh(x @ weights[0] + biases[0]) @ weights[1] + biases[1]) - exact)
    close, far = (float(np.sqrt(np.mean(np.square(d)))) for d in (with_noise, without))
    assert close < 0.025
    assert far > 5 * close


def test_the_twins_gradients_are_derivatives() -> None:
    """Central differences of all parameters of a network of two hidden layers, to 1e-7."""
    weights, biases = network((4, 5, 3, 3), 1)
    rng = np.random.default_rng(2)
    X, y = rng.choice([-1.0, 1.0], (7, 4)), rng.integers(3, size=7)
    _, gradients = twin.loss(weights, biases, X, y, eps=0.7, looks=9)
    for parameter, gradient in zip(weights + biases, gradients, strict=True):
        slopes = np.zeros_like(parameter)
        for at in np.ndindex(parameter.shape):
            before, ends = parameter[at], []
            for step in (1e-5, -1e-5):
                parameter[at] = before + step
                ends.append(twin.loss(weights, biases, X, y, eps=0.7, looks=9)[0])
            parameter[at] = before
            slopes[at] = (ends[0] - ends[1]) / 2e-5
        assert gradient == pytest.approx(slopes, abs=1e-7)


# Digits


@cache
def digits() -> tuple[Any, ...]:
    """(X, y, X held out, y held out, weights, biases) of a 64-64-10 network that scikit-learn trained, in 100 epochs."""
    import warnings

    from sklearn.datasets import load_digits
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    bundled = load_digits()
    X = np.where(bundled.data >= 8, 1, -1).astype(np.int8)
    X, held, y, held_y = train_test_split(X, bundled.target, test_size=360, random_state=0, stratify=bundled.target)
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        mlp = MLPClassifier((64,), activation="tanh", alpha=0.01, max_iter=100, random_state=0).fit(X, y)
    return X, y, held, held_y, mlp.coefs_, mlp.intercepts_


def scores(more: dict[str, Any], weights: list[Floats], biases: list[Floats], eps: float, back: float | None) -> list[float]:
    """Accuracies on the held-out part over 1, 10, 100 and 1,000 sweeps."""
    _, _, held, y, *_ = digits()
    with opened(config(DIGITS, PLANES, **more)) as (_, chip):
        means = FeedForward(chip, weights, biases, eps, back).running_means(held, [1, 10, 100, 1000])
    return [accuracy(m, y) for m in means]


@pytest.mark.parametrize(("more", "goal"), [({}, 0.92), (ERRORS, 0.905)], ids=["ideal", "typical"])
def test_digits_are_told_as_well_as_by_the_network(more: dict[str, Any], goal: float) -> None:
    """1,000 sweeps reach .92, with errors a standard error, sqrt(.92 x .08 / 360), less; 100 sweeps .88; one tells little."""
    *_, weights, biases = digits()
    one, _, hundred, thousand = scores(more, weights, biases, 0.2, None)
    assert thousand >= goal
    assert hundred >= 0.88
    assert one < 0.4


def test_power_shuffled_weights_tell_nothing() -> None:
    """Output weights of other hidden cells: chance, .1, and 5 times its spread over classes taken at random, sqrt(.09 / 10)."""
    *_, weights, biases = digits()
    shuffled = [weights[0], np.random.default_rng(0).permutation(weights[1])]
    assert scores({}, shuffled, biases, 0.2, None)[-1] < 0.1 + SIGMAS * (0.09 / 10) ** 0.5


def test_training_through_the_twin_saves_sweeps() -> None:
    """Directed, eps 1: .90 within 10 sweeps and .6 at once, where the network as trained by others reaches .70 and .3."""
    X, y, _, _, weights, biases = digits()
    tuned = twin.train(weights, biases, X, y, eps=1.0, looks=10, epochs=40)
    one, ten, _, thousand = scores({}, *tuned, 1.0, 0.0)
    assert one > 0.6
    assert ten >= 0.90
    assert thousand >= 0.92
    before = scores({}, weights, biases, 0.2, None)
    assert before[0] < 0.3
    assert before[1] < 0.85


def test_the_same_chip_gives_the_same_means() -> None:
    _, _, held, _, weights, biases = digits()
    runs = []
    for _ in range(2):
        with opened(config(DIGITS, PLANES)) as (_, chip):
            runs.append(FeedForward(chip, weights, biases).label_means(held[:70], 5))
    assert np.array_equal(*runs)


def test_examples_and_answers_belong_together(fine: tsu.Chip) -> None:
    """One output that copies the input, 100 examples in blocks of 64: all right; running means are those of the first sweeps."""
    net = FeedForward(fine, [[[4.0]], [[4.0]]], [[0.0], [0.0]], 1.0, 0.0)
    x = np.random.default_rng(1).choice([-1, 1], (100, 1))
    means = net.running_means(x, [1, 4, 20])
    assert means.shape == (3, 100, 1)
    assert np.all(np.sign(means[-1]) == x)
    assert np.all(np.isin(means[0], [-1.0, 1.0]))
    assert np.all(np.isin(means[1] * 4, [-4.0, -2.0, 0.0, 2.0, 4.0]))


# What it costs


@pytest.mark.parametrize(
    ("topology", "total"),
    [(DIGITS, 2 * 74 * 64), ({"kind": "dense", "cells": 140}, 140 * 139)],
    ids=["bipartite", "dense"],
)
def test_what_is_used_of_a_chip(topology: dict[str, Any], total: int) -> None:
    """Cells are the units; couplers the weights, those between hidden and output layer twice unless directed; one adds, per look
    and class, on the host."""
    *_, weights, biases = digits()
    with opened(config(topology, 2)) as (_, chip):
        both, one = FeedForward(chip, weights, biases, 0.2), FeedForward(chip, weights, biases, 0.2, 0.0)
    assert (both.embedding.cells, both.embedding.couplers_total) == (138, total)
    assert (both.embedding.couplers, one.embedding.couplers) == (64 * 64 + 2 * 640, 64 * 64 + 640)
    cells = np.concatenate(one.embedding.layers)
    assert len(np.unique(cells)) == 138
    work = one.work(100)
    assert (work.chip, work.host, work.digital) == (4736 * 104, 1000, 4736 + 74)
    assert work.host_share == pytest.approx(1000 / (1000 + 4736 * 104))


def test_the_temperature_fills_the_range(fine: tsu.Chip) -> None:
    """Of 2 kT, the largest weight 1: T just below 2. Small weights leave T at its greatest code."""
    large = FeedForward(fine, [[[1.0]], [[0.5]]], [[0.0], [0.0]], 1.0)
    assert 2 - 2 / 64 <= large.embedding.temperature < 2
    small = FeedForward(fine, [[[0.1]], [[0.1]]], [[0.0], [0.0]], 1.0)
    assert small.embedding.temperature == pytest.approx(255 / 64)


def test_ties_are_broken_by_lot() -> None:
    means = np.array([[1.0, 1.0, -1.0], [0.0, 0.5, 0.2], [-1.0, -1.0, -1.0]])
    assert accuracy(means, np.array([0, 1, 2])) == pytest.approx((1 / 2 + 1 + 1 / 3) / 3)
    assert accuracy(means, np.array([2, 0, 2])) == pytest.approx((0 + 0 + 1 / 3) / 3)


# What is refused


ONE = [[[1.0]], [[1.0]]], [[0.0], [0.0]]
BAD: dict[str, tuple[Callable[[tsu.Chip], object], str]] = {
    "no layer": (lambda c: FeedForward(c, [], []), "0 weight matrices and 0 bias vectors"),
    "shape": (lambda c: FeedForward(c, [np.ones((2, 3)), np.ones((2, 1))], [np.ones(3), np.ones(1)]), r"weights\[1\] has shape"),
    "bias": (lambda c: FeedForward(c, [np.ones((2, 3))], [np.ones(2)]), r"biases\[0\] has shape \(2,\)"),
    "finite": (lambda c: FeedForward(c, [np.full((2, 3), np.nan)], [np.ones(3)]), r"weights\[0\] or biases\[0\]"),
    "cells": (lambda c: FeedForward(c, [np.ones((8, 8))], [np.ones(8)]), "layer 1 has 8 units; test has 4 cells left"),
    "eps": (lambda c: FeedForward(c, *ONE, 0.0), "eps = 0.0"),
    "back": (lambda c: FeedForward(c, *ONE, 0.5, 2.0), "back = 2.0"),
    "large": (lambda c: FeedForward(c, [[[1000.0]]], [[0.0]]), "the weights are too large"),
    "looks": (lambda c: FeedForward(c, *ONE).running_means([[1]], [3, 3]), r"looks = \[3, 3\]"),
    "X": (lambda c: FeedForward(c, *ONE).predict([[1, 1]], 5), r"X has shape \(1, 2\)"),
    "spin": (lambda c: FeedForward(c, *ONE).predict([[0]], 5), r"X\[0, 0\] is 0"),
    "train": (lambda c: twin.train(*ONE, [[1.0]], [1], eps=1, looks=1), "the classes 0 .. 0"),
    "train X": (lambda c: twin.train(*ONE, [[1.0, 1.0]], [0], eps=1, looks=1), r"X has shape \(1, 2\)"),
    "train looks": (lambda c: twin.train(*ONE, [[1.0]], [0], eps=1, looks=0), "looks = 0"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(BAD))
def test_bad_arguments_are_named(fine: tsu.Chip, case: str) -> None:
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call(fine)


def test_chips_that_do_not_fit() -> None:
    """Other cells; a graph without the couplers that a layer needs."""
    potts = config({"kind": "dense", "cells": 4}, 2, cell={"kind": "pdit", "states": 3})
    with opened(potts) as (_, dice), pytest.raises(ValueError, match="of the kind pdit"):
        FeedForward(dice, *ONE)
    ring = {"kind": "edges", "cells": 6, "pairs": [(k, (k + 1) % 6) for k in range(6)]}
    with opened(config(ring, 2)) as (_, chip), pytest.raises(tsu.HostError, match="there is no coupler"):
        FeedForward(chip, [np.ones((2, 3))], [np.ones(3)])
