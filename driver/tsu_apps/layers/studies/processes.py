"""Gaussian processes: by the equilibrium of coupled cells, and by random features."""

from __future__ import annotations

import numpy as np

from tsu_apps.layers.chip import ChipLayer
from tsu_apps.layers.features import RandomFeatures, limit_kernel
from tsu_apps.layers.gaussian_process import Posterior, Regression, by_cells, exact, of_features, squared_exponential
from tsu_apps.layers.laws import Floats, Pbit
from tsu_apps.layers.studies.study import Chips, Step, Study, rms
from tsu_apps.report import Row

INPUTS, NOISE, LENGTH = 64, 0.5, 0.25
LOOKS, EVERY, PASSES = 32, 16, (1, 4)
WIDTHS, SEEDS, SPREAD, DRAWS = (64, 256, 1024), 4, (4.0, 1.0), 64


def run(chips: Chips, step: Step) -> Study:
    """Both."""
    X, y, Z = data()
    problem = Regression(squared_exponential(X, X, LENGTH), squared_exponential(Z, X, LENGTH), np.ones(len(Z)), y, NOISE)
    truth = exact(problem)
    rows, found = list[Row](), dict[str, Posterior]()
    for name in ("ideal-spu-64", "spu-64"):
        with chips(name) as chip:
            for passes in PASSES:
                step(f"Gaussian process on {name}, passes: {passes}")
                before = chip.physical_time()
                found[f"{name}, {passes}"] = got = by_cells(chip, problem, LOOKS, EVERY, passes)
                rows += process_rows(f"GP, {name}, passes: {passes}", got, truth, passes)
            rows.append(Row(f"GP, {name}: physical time of {PASSES[-1]} passes", 1e3 * (chip.physical_time() - before), "ms"))
    step("Gaussian process by random features")
    errors, more = feature_rows(chips, X, y, Z)
    return Study([*rows, *more], {"points": (X[:, 0], y, Z[:, 0]), "exact": truth, "found": found, "features": errors})


def data() -> tuple[Floats, Floats, Floats]:
    """(64, 1) inputs in -1 .. 1, (64,) noisy values, (81, 1) inputs asked about."""
    rng = np.random.default_rng(0)
    X = np.sort(rng.uniform(-1.0, 1.0, (INPUTS, 1)), axis=0)
    clean = np.sin(4.0 * X[:, 0]) + 0.4 * np.cos(9.0 * X[:, 0])
    return X, clean + np.sqrt(NOISE) * rng.standard_normal(INPUTS), np.linspace(-1.0, 1.0, 81)[:, None]


def process_rows(name: str, got: Posterior, truth: Posterior, passes: int) -> list[Row]:
    """Error of the mean as a share of the mean, of the variance as a share of the prior's, which is 1."""
    mean, variance = rms(got.mean - truth.mean) / rms(truth.mean), rms(got.variance - truth.variance)
    title = f"{name}: error of the mean, of it"
    row = Row(title, mean) if passes == 1 else Row.at_most(title, mean, 0.05)
    return [row, Row(f"{name}: error of the variance, of the prior's", variance)]


def feature_rows(chips: Chips, X: Floats, y: Floats, Z: Floats) -> tuple[list[float], list[Row]]:
    """Error of the mean with features of p-bits against the process that they tend to, by number of features."""
    kernel = {k: limit_kernel(Pbit(), a, b, SPREAD) for k, (a, b) in {"K": (X, X), "cross": (Z, X), "prior": (Z, Z)}.items()}
    limit = exact(Regression(kernel["K"], kernel["cross"], np.diag(kernel["prior"]), y, NOISE))
    errors = []
    with chips("ideal-1024") as chip:
        layer = ChipLayer(chip, Pbit())
        for width in WIDTHS:
            squares = []
            for seed in range(SEEDS):
                phi = RandomFeatures(layer, 1, width, SPREAD, seed)
                both = phi(np.concatenate([X, Z]), DRAWS)
                got = of_features(both[: len(X)], both[len(X) :], y, NOISE)
                squares.append(np.mean((got.mean - limit.mean) ** 2))
            errors.append(float(np.sqrt(np.mean(squares))) / rms(limit.mean))
    rows = [Row(f"GP by {w} random features: error of the mean, of it", e) for w, e in zip(WIDTHS[:-1], errors, strict=False)]
    return errors, [*rows, Row.at_most(f"GP by {WIDTHS[-1]} random features: error of the mean, of it", errors[-1], 0.1)]
