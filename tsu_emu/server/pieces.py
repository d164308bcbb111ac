"""Long lists of operations in pieces, so that somebody may look in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_contract.operations import Op
from tsu_contract.wire import Frame
from tsu_emu.chip import Chip, Result
from tsu_emu.digital.validate import check

PIECE = 1024
"""Operations that a daemon carries out before it looks up: some 20 ms if each comes back from compiled code."""


def in_pieces(
    chip: Chip, records: NDArray[Any], payloads: Sequence[Frame], size: int, after: Callable[[int, Result], None]
) -> Result:
    """As `Chip.execute`, `size` operations at a time; nothing that the chip does depends on how a list is cut.

    after : called with the number of a piece's first operation and its result, unless it failed
    """
    here = chip.map.inward(records)
    check(here, payloads, chip.plant.rules, chip.plant.windows, chip.capabilities, chip.link_time, chip.map, records)
    begin = chip.link_time
    whole, values, paid = Result(0, begin, begin, np.empty(0, np.uint32)), [], 0
    for k in range(0, len(records), size):
        piece = records[k : k + size]
        paying = int(np.count_nonzero(piece["op"] == Op.BLKWR))
        part = chip.execute(piece, payloads[paid : paid + paying])
        paid += paying
        values.append(part.values)
        whole.executed, whole.t_end = whole.executed + part.executed, part.t_end
        whole.data += part.data
        if part.failure is not None:
            whole.failure = replace(part.failure, index=k + (part.failure.index or 0))
            break
        after(k, part)
    whole.values = np.concatenate(values) if values else whole.values
    return whole
