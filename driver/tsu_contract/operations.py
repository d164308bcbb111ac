"""Operation records: 24 bytes each, the only way to act on a chip.

| op | addr | value | mask | arg | result in `values` |
|---|---|---|---|---|---|
| READ | word address | 0 | 0 | 0 | the word |
| WRITE | word address | word | 0 | 0 | 0 |
| RMW | register address | new bits, within the mask | bits to change, whole fields | 0 | the word before |
| BLKRD | window word address | 0 | 0 | words | 0; the words come as a frame of their own |
| BLKWR | window word address | 0 | 0 | words | 0; the words are the next payload frame |
| WAIT | register address | wanted bits, within the mask | bits to compare | most cycles to wait | the word seen last |
| DELAY | 0 | 0 | 0 | cycles | 0 |
| DELAY_UNTIL | 0 | 0 | 0 | chip time, in cycles | 0 |
| FENCE | 0 | 0 | 0 | 0 | 0 |
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Op(IntEnum):
    """Operation codes."""

    READ = 1
    WRITE = 2
    RMW = 3
    BLKRD = 4
    BLKWR = 5
    WAIT = 6
    DELAY = 7
    DELAY_UNTIL = 8
    FENCE = 9


RECORD = np.dtype(
    [("op", "u1"), ("flags", "u1"), ("chip", "<u2"), ("addr", "<u4"), ("value", "<u4"), ("mask", "<u4"), ("arg", "<u8")]
)
"""Layout of a record; `flags` is 0, `chip` selects a chip of a board."""

TIME_MAX = 1 << 62
"""No chip time lies beyond this cycle."""
