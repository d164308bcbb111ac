"""Handwritten digits, 8 x 8: perceptrons, convolution, ridge readout and the precision ladder."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_apps.layers.calibration import calibrate
from tsu_apps.layers.chip import ChipLayer, Cost
from tsu_apps.layers.convolution import convolutional
from tsu_apps.layers.features import RandomFeatures, readout
from tsu_apps.layers.laws import Floats, Pbit, one_hot
from tsu_apps.layers.network import Chain, deploy, perceptron
from tsu_apps.layers.quartic import Quartic
from tsu_apps.layers.studies.study import Chips, Step, Study, draws
from tsu_apps.layers.training import ESTIMATORS, TrainConfig, cross_entropy, train
from tsu_apps.layers.twin import Layer, TwinLayer
from tsu_apps.report import Row

PIXELS, CLASSES, HIDDEN, CHANNELS, HELD_OUT = 64, 10, 32, 8, 360
COUNTS = (1, 4, 16, 32)
"""Draws of a cell that are averaged."""
SLACK = 0.025
"""By how much accuracy on the chip may lie below the twin's: two standard errors of the difference, if 6 % of digits differ."""
BITS, RANGE = (2, 3, 4, 6, 8), 4.0
"""Of bias DACs, in the precision ladder: bits, and range in kT."""
FEATURES, SPREAD, PENALTY, READOUT_DRAWS = 256, (0.15, 0.3), 1.0, 64
"""Of the ridge readout."""


class Digits(NamedTuple):
    """(n, 64) pixels in -1 .. 1 and (n,) classes, to train on and held out."""

    X: Floats
    y: NDArray[np.int64]
    held_X: Floats
    held_y: NDArray[np.int64]


def load() -> Digits:
    """The 1,797 digits of scikit-learn, 360 held out, stratified."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bundle = load_digits()
    X, held, y, held_y = train_test_split(
        bundle.data / 8.0 - 1.0, bundle.target, test_size=HELD_OUT, stratify=bundle.target, random_state=0
    )
    return Digits(X, y, held, held_y)


def trained(network: Chain, digits: Digits, estimator: str) -> Chain:
    """A network trained on its twin."""
    train(network, digits.X, one_hot(digits.y, CLASSES), cross_entropy, TrainConfig(estimator))
    return network


def accuracy(network: Chain, digits: Digits, layer: Layer, samples: int | None) -> float:
    """On the held-out digits."""
    deploy(network, lambda law: layer, samples)
    return float(np.mean(network.forward(digits.held_X).argmax(axis=1) == digits.held_y))


def by_counts(network: Chain, digits: Digits, layer: Layer, bits: int | None = None) -> list[float]:
    """Accuracies of a network of one hidden layer with means over the first draws of each cell, as many as COUNTS say.

    bits : of the drives, None for as many as the chip has
    """
    first, _, last = network.parts
    drive = first.forward(digits.held_X)
    outputs = layer.draw(drive if bits is None else coarse(drive, bits), COUNTS[-1])
    return [float(np.mean(last.forward(outputs[:n].mean(axis=0)).argmax(axis=1) == digits.held_y)) for n in COUNTS]


def run(chips: Chips, step: Step) -> Study:
    """All networks."""
    digits, curves = load(), dict[str, list[float]]()
    step("perceptrons trained on the twin, in three ways")
    networks = {e: trained(perceptron((PIXELS, HIDDEN, CLASSES), Pbit(), 0), digits, e) for e in ESTIMATORS}
    rows = pbit_perceptrons(chips, step, digits, networks, curves)
    rows += quartic_perceptron(chips, step, digits, curves)
    rows += convolution(chips, step, digits)
    rows += ridge(chips, step, digits)
    more, ladder = precision(chips, step, digits, networks["mean"])
    return Study(rows + more, {"curves": curves, "ladder": ladder})


def pbit_perceptrons(
    chips: Chips, step: Step, digits: Digits, networks: dict[str, Chain], curves: dict[str, list[float]]
) -> list[Row]:
    """Perceptrons of p-bits, as the chip is and calibrated, and what they cost it."""
    with chips("x0-pbit") as chip:
        layer = ChipLayer(chip, Pbit(), tau_s=2e-7)
        step("perceptron on x0-pbit, not calibrated")
        rows = [Row(f"MLP, x0-pbit not calibrated, mean, {draws(COUNTS[-1])}", by_counts(networks["mean"], digits, layer)[-1])]
        step("calibration of x0-pbit")
        calibrate(layer, 1280)
        layer.cost = Cost()
        for name, network in networks.items():
            step(f"perceptron on x0-pbit, {name}")
            rows += deployed(f"MLP, x0-pbit, {name}", network, digits, layer, curves)
        images = len(networks) * len(digits.held_y)
        rows += [
            Row("MLP, x0-pbit: rounds an image", layer.cost.rounds / images),
            Row("MLP, x0-pbit: physical time an image", 1e6 * layer.cost.physical_s / images, "us"),
            Row("MLP, x0-pbit: chip time an image", 1e6 * layer.cost.chip_s / images, "us"),
            Row("MLP, x0-pbit: energy an image", 1e6 * layer.cost.energy_j / images, "uJ"),
            Row("MLP, x0-pbit: wall time an image", 1e6 * layer.cost.wall_s / images, "us"),
            Row.at_most("MLP, x0-pbit: biases clipped", layer.cost.clipped / layer.cost.draws * COUNTS[-1], 0.05),
        ]
    return rows


def deployed(name: str, network: Chain, digits: Digits, layer: Layer, curves: dict[str, list[float]]) -> list[Row]:
    """Rows of a perceptron, exact and by COUNTS."""
    exact = accuracy(network, digits, TwinLayer(layer.law), None)
    curves[name] = by_counts(network, digits, layer)
    rows = [Row(f"{name}: exact twin", exact)]
    rows += [Row(f"{name}: {draws(n)}", v) for n, v in zip(COUNTS[:-1], curves[name], strict=False)]
    return [*rows, Row.at_least(f"{name}: {draws(COUNTS[-1])}", curves[name][-1], round(exact - SLACK, 4))]


def quartic_perceptron(chips: Chips, step: Step, digits: Digits, curves: dict[str, list[float]]) -> list[Row]:
    """A perceptron of quartic neurons."""
    step("perceptron of quartic neurons on langevin-16")
    law = Quartic(window=1.0)
    network = trained(perceptron((PIXELS, HIDDEN, CLASSES), law, 0), digits, "straight-through")
    with chips("langevin-16") as chip:
        layer = ChipLayer(chip, law, tau_s=1e-6)
        calibrate(layer, 640)
        return deployed("MLP, langevin-16, straight-through", network, digits, layer, curves)


def convolution(chips: Chips, step: Step, digits: Digits) -> list[Row]:
    """Filters of 3 x 3 whose outputs p-bits draw."""
    step("convolution")
    network = trained(convolutional(8, CHANNELS, CLASSES, Pbit(), 0), digits, "straight-through")
    exact = accuracy(network, digits, TwinLayer(Pbit()), None)
    with chips("ideal-1024") as chip:
        found = accuracy(network, digits, ChipLayer(chip, Pbit()), COUNTS[-1])
    name = "convolution 3x3, 1,024 p-bits"
    return [Row(f"{name}: exact twin", exact), Row.at_least(f"{name}: {draws(COUNTS[-1])}", found, round(exact - SLACK, 4))]


def ridge(chips: Chips, step: Step, digits: Digits) -> list[Row]:
    """Ridge readout of fixed random features: trained on the twin's and on the chip's, the latter of a chip with errors."""
    step("ridge readout of random features")
    twin = TwinLayer(Pbit())
    features = RandomFeatures(twin, PIXELS, FEATURES, SPREAD, 0)
    exact = readout(features(digits.X, None), digits.y, PENALTY)
    on_twin = exact.score(features(digits.held_X, None), digits.held_y)
    with chips("typical-1024") as chip:
        features.layer = ChipLayer(chip, Pbit())
        held = features(digits.held_X, READOUT_DRAWS)
        moved = exact.score(held, digits.held_y)
        in_loop = readout(features(digits.X, READOUT_DRAWS), digits.y, PENALTY).score(held, digits.held_y)
    return [
        Row("ridge, 256 features: exact twin", on_twin),
        Row(f"ridge: trained on the twin, read from a chip with errors, {draws(READOUT_DRAWS)}", moved),
        Row.at_least(f"ridge: trained on that chip's features, {draws(READOUT_DRAWS)}", in_loop, round(on_twin - SLACK, 4)),
    ]


def precision(chips: Chips, step: Step, digits: Digits, network: Chain) -> tuple[list[Row], Floats]:
    """Accuracy against bits of the bias DACs and draws, (bits, draws). Fewer bits are every 2nd, 4th, .. code of the chip."""
    step("precision ladder")
    with chips("ideal-1024") as chip:
        layer = ChipLayer(chip, Pbit())
        found = np.array([by_counts(network, digits, layer, bits) for bits in BITS])
    rows = [
        Row(f"ladder: {bits} bits of ±{RANGE:g} kT, {draws(n)}", value)
        for bits, values in zip(BITS, found, strict=True)
        for n, value in zip(COUNTS, values, strict=True)
    ]
    exact = accuracy(network, digits, TwinLayer(Pbit()), None)
    return [
        *rows,
        Row.at_least(
            f"ladder: gain of 4 bits over the exact twin, {draws(COUNTS[-1])}", found[BITS.index(4), -1] - exact, -SLACK
        ),
    ], found


def coarse(drive: Floats, bits: int) -> Floats:
    """Drives as a DAC of so many bits and of the range ±RANGE has them."""
    lsb, half = RANGE / 2 ** (bits - 1), 2 ** (bits - 1)
    values: Floats = lsb * np.clip(np.rint(drive / lsb), -half, half - 1)
    return values
