"""Handwritten digits, 8x8 pixels and ten labels, on a chip of 74 visible and 100 hidden cells: what training gives."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from effective import effective_model
from numpy.typing import NDArray
from sampled import sampled_log_likelihood

import tsu_driver as tsu
from tsu_apps.learning import Cd, ChipEstimator, Ctd, EqProp, OnChipCtd, Pcd
from tsu_apps.models import log_likelihood

PIXELS, CLASSES, THRESHOLD = 64, 10, 8
HELD_OUT, VALIDATION = 360, 237
KNOWN = np.arange(32)
"""Pixels that inpainting is given: the upper half."""
ALGORITHMS: Mapping[str, type[ChipEstimator]] = {"ctd": Ctd, "cd": Cd, "pcd": Pcd, "eqprop": EqProp, "onchip": OnChipCtd}


class Split(NamedTuple):
    """Pixels (n, 64) int8 of -1 and +1 and classes (n,), in four parts."""

    train: NDArray[np.int8]
    train_y: NDArray[np.int64]
    test: NDArray[np.int8]
    test_y: NDArray[np.int64]


@cache
def load() -> Split:
    """1,437 digits to train on and 360 held out, stratified, always the same ones."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    spins = np.where(digits.data >= THRESHOLD, 1, -1).astype(np.int8)
    train, test, train_y, test_y = train_test_split(
        spins, digits.target, test_size=HELD_OUT, stratify=digits.target, random_state=0
    )
    return Split(train, train_y, test, test_y)


def url_of(chip: str, seed: int) -> str:
    """A chip whose die and noise are of this seed, with its doors open; `chip` may set values: digits-ideal?learning.bits=8."""
    return f"emu:{chip}{'&' if '?' in chip else '?'}die_seed={seed + 1}&run_seed={seed + 1}&threads=1&bench=1"


def estimator(algorithm: str, chip: tsu.Chip, seed: int, **parameters: Any) -> ChipEstimator:
    """An estimator for digits."""
    cls = ALGORITHMS[algorithm]
    return cls(chip, range(PIXELS), range(PIXELS, PIXELS + CLASSES), seed=seed, **parameters)


def judged(machine: ChipEstimator, likelihood: bool = True, looks: int = 0) -> dict[str, Any]:
    """What a trained machine is worth on the held-out digits, asked on its chip: accuracy, share of the lower half's pixels that
    inpainting gets right, and the joint log-likelihood of pixels and labels under the couplings that the chip really has.

    looks : at the chip's samples, for the log-likelihood by them, "sampled"; 0 for none
    """
    data, layout = load(), machine.layout
    accuracy = machine.score(data.test, data.test_y)
    filled = machine.inpaint(data.test, KNOWN)[:, len(KNOWN) :]
    out = {"accuracy": accuracy, "inpainting": float(np.mean((filled > 0) == (data.test[:, len(KNOWN) :] > 0)))}
    if likelihood:
        model, asymmetry = effective_model(machine.chip)
        found = log_likelihood(model, layout.clamped, layout.examples(data.test, data.test_y))
        out |= {"nats": found.mean, "nats_error": found.standard_error, "trusted": float(found.trusted), "asymmetry": asymmetry}
    if looks:
        examples = layout.examples(data.test, data.test_y)
        out["sampled"] = sampled_log_likelihood(machine.chip, layout.clamped, examples, looks)
    return out


def train(seed: int, algorithm: str, chip: str, likelihood: bool = True, looks: int = 0, **parameters: Any) -> dict[str, Any]:
    """Train on a chip of its own and judge there, as `judged` does."""
    with tsu.open(url_of(chip, seed)) as opened:
        machine = estimator(algorithm, opened, seed, **parameters)
        data = load()
        machine.fit(data.train, data.train_y, progress=False)
        out = judged(machine, likelihood, looks)
        c, last = machine.counters_, machine.history_[-1]
        return out | {
            "saturation": last.saturation, "flips": last.flips, "chip_seconds": c.chip_seconds, "joules": c.joules,
            "wall_seconds": c.wall_seconds, "bytes": c.bytes, "host_operations": c.host_operations, "sweeps": c.sweeps,
        }  # fmt: skip


def deploy(seed: int, chip: str, looks: int = 0, **parameters: Any) -> dict[str, Any]:
    """Train on an ideal chip, deploy the weights on another, judge there."""
    with tsu.open(url_of("digits-ideal", seed)) as ideal, tsu.open(url_of(chip, seed)) as other:
        machine = estimator("ctd", ideal, seed, **parameters)
        data = load()
        machine.fit(data.train, data.train_y, progress=False)
        return judged(estimator("ctd", other, seed, **parameters).deploy(machine), looks=looks)
