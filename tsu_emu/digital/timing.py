"""The timing table as compiled code takes it: one record, passed by its address."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_contract.capabilities import Capabilities
from tsu_emu.config import Timing

_ADC = ("conversion", "plane_scan", "adc_buffer", "cells")
TIMING = np.dtype([(row, "i8") for row in (*Timing.model_fields, *_ADC)])
"""Rows as docs/theory-of-operation.md names them, in cycles; cycles of a conversion and of one plane's scan, samples that a
capture may
have, and cells."""


def make_timing(timing: Timing, cap: Capabilities) -> NDArray[Any]:
    """(1,) TIMING of a chip."""
    scan = cap.adc_cycles * ((cap.cells + cap.adc_count - 1) // cap.adc_count) if cap.adc_count else 0
    buffer = cap.adc_buffer if cap.adc_count else 0
    return np.array([(*timing.model_dump().values(), cap.adc_cycles, scan, buffer, cap.cells)], TIMING)
