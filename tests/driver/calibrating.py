"""A calibration of the fake chip, and what its chips have."""

from __future__ import annotations

import numpy as np

from driver.fake import CAPABILITIES, LSB
from tsu_contract.capabilities import LSB_SCALE
from tsu_driver.calibration import Calibration

CELLS, COUPLERS = CAPABILITIES.cells, CAPABILITIES.couplers
STEP = LSB * LSB_SCALE
NOMINAL = Calibration.nominal(CAPABILITIES)
TRIM = {"bits": 8, "offset_full_scale_kt": 0.5, "slope_full_scale": 0.25}


def some(seed: int = 1) -> Calibration:
    """A calibration of the fake chip, every field of it unlike the nominal one."""
    rng = np.random.default_rng(seed)
    return NOMINAL.but(
        date_cycles=1 << 40,
        offset_trims=rng.integers(-128, 128, CELLS).astype(np.int16),
        slope_trims=rng.integers(-128, 128, CELLS).astype(np.int16),
        temperature=(0.98, 0.021),
        coupler_gain=(1 + 0.05 * rng.standard_normal(COUPLERS)).astype(np.float32),
        coupler_offset=(0.02 * rng.standard_normal(COUPLERS)).astype(np.float32),
        stuck=np.array([[3, 0b101, 0b100], [20, 0x80, 0]], np.uint32),
        good=np.arange(CELLS) != 4,
    )
