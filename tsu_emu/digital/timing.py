"""The timing table as compiled code takes it: one record, passed by its address."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_emu.config import Timing

TIMING = np.dtype([(row, "i8") for row in Timing.model_fields])
"""Rows as docs/theory-of-operation.md names them, in cycles."""


def make_timing(timing: Timing) -> NDArray[Any]:
    """(1,) TIMING of a configuration."""
    return np.array([tuple(timing.model_dump().values())], TIMING)
