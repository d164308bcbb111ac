"""Small chips with errors that a calibration finds, and the truth about them in units of what cells feel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tsu_driver as tsu
from serving import config, opened
from tsu_contract.bench import Request, decode_reply, encode_request
from tsu_emu.bench.oracle import Oracle
from tsu_emu.chip import Chip
from tsu_emu.config import ChipConfig

Floats = NDArray[np.float64]
ERRORS: dict[str, Any] = {
    "cell": {"kind": "pbit", "offset_sigma_kt": 0.2, "slope_sigma": 0.1},
    "coupling": {"gain_sigma": 0.05, "dac": {"full_scale": 2.0, "offset_sigma_lsb": 0.5}},
    "bias": {"dac": {"full_scale": 4.0}},
    "temperature": {"dac": {"full_scale": 4.0, "gain_sigma": 0.03, "offset_sigma_lsb": 5.0}},
    "trim": {"bits": 9, "offset_full_scale_kt": 0.8, "slope_full_scale": 0.5},
    "nvm": {"words": 512},
    "adc": {"count": 2, "bits": 10, "buffer": 8192, "offset_sigma_lsb": 2.0, "gain_sigma": 0.005, "noise_lsb": 0.4},
}
DENSE = {"kind": "dense", "cells": 6}
BIPARTITE = {"kind": "bipartite", "visible": 12, "hidden": 8}
LOOSE = {"kind": "edges", "cells": 40, "pairs": []}


def flawed(topology: dict[str, Any], **more: Any) -> ChipConfig:
    """A chip with errors."""
    return config(topology, 64, **ERRORS | more)


@contextmanager
def bench(chip_config: ChipConfig) -> Iterator[tuple[Chip, tsu.Chip, Oracle]]:
    """(the emulated chip, the driver's view, the oracle's door)."""
    with opened(chip_config) as (emulated, chip):
        yield emulated, chip, Oracle(emulated)


def inject(oracle: Oracle, kind: str, **keys: Any) -> None:
    """A fault."""
    reply = decode_reply(oracle.handle(encode_request(Request("inject", 1, {"kind": kind, **keys}))))
    assert reply.failure is None


def temperature(emulated: Chip, chip: tsu.Chip) -> float:
    """T as it is."""
    return emulated.parameters.temperature_output(chip.read_register("TEMP.TDAC.CODE"))


def felt(emulated: Chip, chip: tsu.Chip) -> tuple[Floats, Floats, Floats]:
    """(couplings, fields at rest, slopes) over T: what tanh makes means of, for codes that the chip has now."""
    J, h, slope, offset = emulated.parameters.made()
    slope = np.broadcast_to(slope, len(h)) / temperature(emulated, chip)
    return J * slope[chip.topology.target], slope * (h + offset), slope


def rms(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
