"""Emulated chips of every kind of cell, without errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import tsu_driver as tsu
from serving import config, opened
from tsu_contract.capabilities import LSB_SCALE
from tsu_emu.chip import Chip

CONTINUOUS = {"slot": 0, "colour": 100}
"""A tick of a microsecond: one time constant of the analog cells at a = 1, ten of asynchronous p-bits."""
ADC = {"count": 3, "bits": 12}
BIAS = {"dac": {"full_scale": 4.0, "bits": 10}}
CELLS: dict[str, dict[str, Any]] = {
    "pbit": {"kind": "pbit"},
    "async-pbit": {"kind": "async-pbit"},
    "pdit": {"kind": "pdit", "states": 3},
    "gaussian": {"kind": "gaussian"},
    "mixture": {"kind": "mixture", "modes": 2},
    "langevin": {"kind": "langevin"},
}
TERMS = {
    "pbit": ("h",),
    "async-pbit": ("h",),
    "pdit": ("h0", "h1", "h2"),
    "gaussian": ("h", "a"),
    "mixture": ("w0", "w1", "m0", "m1"),
    "langevin": ("h", "a", "c", "b"),
}
ANALOG = ("gaussian", "mixture", "langevin")


@contextmanager
def chip_of(kind: str, cells: int, planes: int = 64, pairs: Any = (), **more: Any) -> Iterator[tuple[Chip, tsu.Chip]]:
    """An ideal chip of a kind, loose unless pairs are given."""
    settings: dict[str, Any] = {"cell": CELLS[kind], "bias": BIAS}
    if kind in ANALOG:
        settings["adc"] = ADC
    if kind not in ("pbit", "pdit"):
        settings["timing"] = CONTINUOUS
    with opened(config({"kind": "edges", "cells": cells, "pairs": pairs}, planes, **settings | more)) as both:
        yield both


def ring(cells: int) -> list[tuple[int, int]]:
    return [(i, (i + 1) % cells) for i in range(cells)]


def biases(chip: tsu.Chip, done: tsu.Programmed) -> np.ndarray:
    """Biases that the codes stand for."""
    return done.bias_codes * (chip.capabilities.bias_lsb * LSB_SCALE)
