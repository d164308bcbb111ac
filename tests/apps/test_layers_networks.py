"""Networks of stochastic layers: gradients against differences and enumeration, training, attention, convolution."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy.signal import correlate2d

from serving import config, opened
from tsu_apps.layers import (
    Cells,
    Chain,
    ChipLayer,
    Dense,
    Part,
    Pbit,
    Pdit,
    Quartic,
    TrainConfig,
    TwinLayer,
    cross_entropy,
    deploy,
    perceptron,
    squared_error,
    train,
)
from tsu_apps.layers.attention import Attention, Token, recall
from tsu_apps.layers.convolution import Convolution, Pool, convolutional
from tsu_apps.layers.laws import Floats, one_hot
from tsu_apps.layers.studies import digits, sequences
from tsu_apps.layers.training import ESTIMATORS, REPLICAS, _gradients

PBITS: dict[str, Any] = {"topology": {"kind": "edges", "cells": 128, "pairs": []}, "planes": 32, "cell": {"kind": "pbit"}}
BIAS: dict[str, Any] = {"dac": {"bits": 8, "full_scale": 4.0}}


def head() -> Part:
    rng = np.random.default_rng(1)
    return Chain(Attention(3, 4, rng), Token(), Dense(4, 2, rng))


NETWORKS: dict[str, tuple[Part, tuple[int, ...]]] = {
    "perceptron of p-bits": (perceptron((5, 4, 3, 2), Pbit(), 0), (5,)),
    "perceptron of quartic neurons": (perceptron((5, 4, 2), Quartic(window=0.5), 0), (5,)),
    "attention": (head(), (3, 4)),
    "transformer block": (sequences.transformer(3, 2, 0), (3, 5)),
    "convolution": (convolutional(6, 2, 2, Pbit(), 0), (36,)),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("loss", [cross_entropy, squared_error])
def test_gradients_are_derivatives_of_the_loss(name: str, loss: Any) -> None:
    """Of every parameter and of the input, central differences of 1e-5, within 1e-6; 1e-5 where a spline is differentiated."""
    network, shape = NETWORKS[name]
    rng = np.random.default_rng(2)
    X, targets = rng.normal(size=(3, *shape)), one_hot(np.array([0, 1, 1]), 2)
    deploy(network, TwinLayer, None)
    down = network.backward(loss(network.forward(X), targets)[1] / 3)
    arrays = [(p.value, p.gradient) for p in network.parameters()] + [(X, down)]
    assert len(arrays) >= 5
    for array, gradient in arrays:
        assert array.shape == gradient.shape
        for place in rng.choice(array.size, min(4, array.size), replace=False):
            at, kept = np.unravel_index(place, array.shape), array.flat[place]
            values = []
            for step in (1e-5, -1e-5):
                array[at] = kept + step
                values.append(loss(network.forward(X), targets)[0].mean())
            array[at] = kept
            assert abs((values[0] - values[1]) / 2e-5 - gradient[at]) < (1e-5 if "quartic" in name else 1e-6)


def test_reinforce_is_unbiased_and_its_mean_is_the_gradient_of_the_expected_loss() -> None:
    """Three p-bits, 8 states enumerated: 3,000 estimates of 4 replicas within 5 standard errors of the gradient; twice the
    gradient is not, nor is the straight-through estimate, for this loss is not linear in the draws."""
    network = perceptron((2, 3, 1), Pbit(), 0)
    first, cells, last = network.parts
    assert isinstance(first, Dense)
    assert isinstance(cells, Cells)
    X, target = np.array([[0.7, -1.1]]), np.array([[2.0]])
    p_up = 0.5 * (1 + np.tanh(first.forward(X)[0]))
    exact = np.zeros_like(first.weights.value)
    for state in product((-1.0, 1.0), repeat=3):
        s = np.array([state])
        probability = np.prod(np.where(s[0] > 0, p_up, 1 - p_up))
        exact += probability * squared_error(last.forward(s), target)[0] * X.T @ (s - np.tanh(first.forward(X)))
    deploy(network, lambda law: TwinLayer(law, 1), 1)
    found = {}
    for estimator in ("reinforce", "straight-through"):
        draws = np.empty((3000, *exact.shape))
        cells.advantage = None
        for k in range(len(draws)):
            _gradients(network, X, target, squared_error, estimator)
            draws[k] = first.weights.gradient
        found[estimator] = np.abs(draws.mean(axis=0) - exact) / (draws.std(axis=0) / np.sqrt(len(draws)))
        assert np.max(np.abs(draws.mean(axis=0) - 2 * exact) / (draws.std(axis=0) / np.sqrt(len(draws)))) > 8
    assert found["reinforce"].max() < 5
    assert found["straight-through"].max() > 8
    assert REPLICAS == 4


def parity(n: int, seed: int) -> tuple[Floats, Floats]:
    """Signs whose product tells the class: no single input does."""
    X = np.random.default_rng(seed).choice([-1.0, 1.0], (n, 2))
    return X, one_hot((X[:, 0] * X[:, 1] > 0).astype(int), 2)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_estimator_learns_what_no_linear_readout_can(estimator: str) -> None:
    """Parity of two signs, 16 p-bits: at least 95 % of 400 by averages of 64 draws; without cells at most 3 of 4 inputs."""
    X, targets = parity(400, 1)
    network = perceptron((2, 16, 2), Pbit(), 0)
    losses = train(network, X, targets, cross_entropy, TrainConfig(estimator, epochs=40, rate=2e-2))
    assert losses[-1] < 0.3 < losses[0]
    deploy(network, lambda law: TwinLayer(law, 2), 64)
    held, wanted = parity(400, 2)
    assert np.mean(network.forward(held).argmax(axis=1) == wanted.argmax(axis=1)) > 0.95
    linear = Chain(Dense(2, 2, np.random.default_rng(0)))
    train(linear, X, targets, cross_entropy, TrainConfig(epochs=40, rate=2e-2))
    assert np.mean(linear.forward(held).argmax(axis=1) == wanted.argmax(axis=1)) < 0.8


def test_training_is_reproducible_and_leaves_the_network_exact() -> None:
    X, targets = parity(60, 3)
    found = []
    for seed in (1, 1, 2):
        network = perceptron((2, 4, 2), Pbit(), 0)
        train(network, X, targets, cross_entropy, TrainConfig("straight-through", epochs=2, seed=seed))
        found.append(network.forward(X))
        np.testing.assert_array_equal(found[-1], network.forward(X))
    np.testing.assert_array_equal(found[0], found[1])
    assert np.any(found[0] != found[2])


def test_a_perceptron_on_the_chip_is_as_good_as_its_twin() -> None:
    """360 held-out digits, 64 draws: within 4 standard errors, .01 each if 4 % of the answers differ, of the accuracy of the twin
    by as many draws; with all weights to the cells 0 it guesses."""
    data = digits.load()
    network = perceptron((digits.PIXELS, 24, digits.CLASSES), Pbit(), 0)
    train(network, data.X, one_hot(data.y, 10), cross_entropy, TrainConfig("straight-through", epochs=8, rate=1e-2))
    with opened(config(PBITS["topology"], PBITS["planes"], cell=PBITS["cell"], bias=BIAS)) as (_, chip):
        layer = ChipLayer(chip, Pbit())
        on_chip, on_twin = (digits.accuracy(network, data, where, 64) for where in (layer, TwinLayer(Pbit(), 1)))
        assert on_twin > 0.93
        assert abs(on_chip - on_twin) < 4 * np.sqrt(0.04 / len(data.held_y))
        network.parts[0].weights.value[:] = 0.0  # type: ignore[attr-defined]
        assert digits.accuracy(network, data, layer, 64) < 0.3


def test_attention_by_draws_tends_to_softmax_attention_as_one_over_the_root() -> None:
    """On a chip, 16 and 1,024 draws of 8-state pdits: the mean square error falls 64-fold, within a factor of 1.6, which is 5
    standard errors of .1 = sqrt(4 / 400), 128 queries having some 3 independent errors each. Against equal weights it hardly
    falls. Draws are one-hot."""
    head, x = Attention(8, 6, np.random.default_rng(3)), 0.7 * np.random.default_rng(4).standard_normal((16, 8, 6))
    exact = head.forward(x)
    equal = np.broadcast_to(head._v.mean(axis=1, keepdims=True), exact.shape)
    with opened(config(PBITS["topology"], 64, cell={"kind": "pdit", "states": 8}, bias=BIAS)) as (_, chip):
        layer, errors, wrong = ChipLayer(chip, Pdit(8)), [], []
        for n in (16, 1024):
            deploy(head, lambda law: layer, n)
            found = head.forward(x)
            errors.append(float(np.mean((found - exact) ** 2)))
            wrong.append(float(np.mean((found - equal) ** 2)))
        draw = layer.draw(np.zeros((3, 8)), 5)
    assert layer.cost.clipped == 0
    assert 64 / 1.6 < errors[0] / errors[1] < 64 * 1.6
    assert wrong[0] / wrong[1] < 10
    assert set(np.unique(draw)) == {0.0, 1.0}
    assert np.all(draw.sum(axis=-1) == 1)


def test_recall_asks_for_the_value_of_a_key_that_was_there() -> None:
    X, targets = recall(200, 5, 6, 0)
    keys, values, marks = X[..., :6], X[..., 6:-1], X[..., -1]
    assert X.shape == (200, 5, 13)
    np.testing.assert_array_equal(marks, np.tile([0, 0, 0, 0, 1], (200, 1)))
    np.testing.assert_array_equal(keys.sum(axis=-1), 1)
    assert keys[:, :-1].sum(axis=1).max() == 1
    matching = (keys[:, :-1] * keys[:, -1:]).sum(axis=-1)
    np.testing.assert_array_equal((matching[..., None] * values[:, :-1]).sum(axis=1), targets)
    with pytest.raises(ValueError, match="5 pairs need as many different keys; there are 4 symbols"):
        recall(1, 6, 4, 0)


def test_convolution_is_correlation_with_its_filters() -> None:
    """Of one image with two filters, and its pooled means."""
    conv, image = Convolution(3, 2, np.random.default_rng(5)), np.random.default_rng(6).normal(size=(1, 6, 8))
    out = conv.forward(image)
    filters = conv._dense.weights.value.reshape(3, 3, 2)
    for k in range(2):
        np.testing.assert_allclose(out[0, :, :, k], correlate2d(image[0], filters[..., k], mode="valid"))
    pooled = Pool(2).forward(out).reshape(2, 3, 2)
    np.testing.assert_allclose(pooled[1, 2], out[0, 2:4, 4:6].mean(axis=(0, 1)))


def test_what_does_not_fit_is_said() -> None:
    X, targets = parity(4, 0)
    network = perceptron((2, 3, 2), Pbit(), 0)
    for make, text in (
        (lambda: TrainConfig("magic"), "no estimator 'magic'; there are mean, straight-through, reinforce"),
        (lambda: TrainConfig(rate=0.0), r"TrainConfig\.rate = 0"),
        (lambda: train(network, X, targets[:3], cross_entropy, TrainConfig()), "4 examples and 3 targets"),
        (lambda: network.forward(np.zeros((4, 3))), r"inputs of shape \(4, 3\); the last axis must be 2 long"),
        (lambda: Attention(5, 4, np.random.default_rng(0)).forward(np.zeros((1, 3, 4))), r"drives of shape \(1, 3, 3\)"),
        (lambda: Pool(2).forward(np.zeros((1, 5, 4, 1))), "5 x 4 outputs cannot be pooled"),
    ):
        with pytest.raises(ValueError, match=text):
            make()
