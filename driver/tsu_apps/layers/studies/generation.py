"""Flow matching on two moons, the hidden units being p-bits."""

from __future__ import annotations

import numpy as np

from tsu_apps.layers.chip import ChipLayer
from tsu_apps.layers.flow import energy_distance, flow, pairs
from tsu_apps.layers.laws import Floats, Pbit
from tsu_apps.layers.network import deploy, perceptron
from tsu_apps.layers.studies.study import Chips, Step, Study, draws
from tsu_apps.layers.training import TrainConfig, squared_error, train
from tsu_apps.report import Row

POINTS, FRESH, NOISES, HIDDEN = 1000, 4000, 16, 128
COUNTS, BLUR = (1, 16), 0.05
SHOWN = 400
"""Points in the figure."""
EPOCHS, BATCH, RATE = 30, 128, 1e-2


def run(chips: Chips, step: Step) -> Study:
    """Train on the twin by its mean and by draws, generate with the chip."""
    inputs, velocities = pairs(moons(1000, 0), NOISES, 0)
    fresh, noise = moons(FRESH, 1), np.random.default_rng(3).standard_normal((POINTS, 2))
    start = energy_distance(noise, fresh)
    goal = round(0.1 * start, 4)
    rows = [
        Row("flow matching: energy distance of noise from the data", start),
        Row("flow matching: of other data", energy_distance(moons(POINTS, 2), fresh)),
    ]
    points, distances = dict[str, Floats](), dict[str, list[float]]()
    with chips("ideal-1024") as chip:
        layer = ChipLayer(chip, Pbit())
        for estimator in ("mean", "straight-through"):
            step(f"flow matching: training by {estimator}")
            network = perceptron((3, HIDDEN, HIDDEN, 2), Pbit(), 0)
            train(network, inputs, velocities, squared_error, TrainConfig(estimator, EPOCHS, BATCH, RATE))
            exact = energy_distance(flow(network, noise), fresh)
            rows.append(Row.at_most(f"flow matching, {estimator}: exact twin", exact, goal))
            distances[estimator] = []
            for n in COUNTS:
                step(f"flow matching on 1,024 p-bits, {estimator}, {draws(n)}")
                deploy(network, lambda law: layer, n)
                points[f"{estimator}, {n}"] = flow(network, noise)
                distances[estimator].append(energy_distance(points[f"{estimator}, {n}"], fresh))
            name = f"flow matching, 1,024 p-bits, {estimator}"
            rows.append(Row(f"{name}: {draws(COUNTS[0])}", distances[estimator][0]))
            rows.append(Row.at_most(f"{name}: {draws(COUNTS[-1])}", distances[estimator][-1], goal))
    return Study(rows, {"data": fresh[:SHOWN], "noise": noise[:SHOWN], "points": {k: p[:SHOWN] for k, p in points.items()}})


def moons(n: int, seed: int) -> Floats:
    """(n, 2) independent points of two half circles, blurred, of mean 0 and variance about 1 along each axis."""
    rng = np.random.default_rng(seed)
    angle, lower = rng.uniform(0.0, np.pi, n), rng.integers(2, size=n)
    sign = 1.0 - 2.0 * lower
    circles = np.stack([sign * np.cos(angle) + lower - 0.5, sign * np.sin(angle) + 0.5 * lower - 0.25], axis=1)
    return (circles + rng.normal(0.0, BLUR, (n, 2))) / (0.87, 0.5)
