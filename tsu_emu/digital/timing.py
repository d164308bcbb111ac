"""The timing table as compiled code takes it: one record, passed by its address."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_contract.capabilities import Capabilities
from tsu_emu.config import Timing

_SIZES = ("conversion", "plane_scan", "adc_buffer", "cells", "planes", "spin_words", "hostmem", "learn_bits")
TIMING = np.dtype([(row, "i8") for row in (*Timing.model_fields, *_SIZES)])
"""Rows as docs/theory-of-operation.md names them, in cycles; cycles of a conversion and of one plane's scan, samples that a
capture may have, cells, planes, words of a row of CLAMP_VALUE (0: not p-bits), words of host memory, bits of the learning
engine (0: none)."""


def make_timing(timing: Timing, cap: Capabilities) -> NDArray[Any]:
    """(1,) TIMING of a chip."""
    scan = cap.adc_cycles * ((cap.cells + cap.adc_count - 1) // cap.adc_count) if cap.adc_count else 0
    buffer = cap.adc_buffer if cap.adc_count else 0
    sizes = cap.adc_cycles, scan, buffer, cap.cells, cap.planes, cap.dimension("spin_words"), cap.hostmem_words, cap.learn_bits
    return np.array([(*timing.model_dump().values(), *sizes)], TIMING)
