"""Couplers that bits stuck keep from 0: found by the cells that hear them where no converter can, and what they shake.

A neighbour that is up as often as down, heard with J at code 0, leaves a cell's mean alone and makes the response to its own bias
less by about J^2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsu_apps.calibrate.couplers import heard
from tsu_apps.calibrate.work import Work
from tsu_contract.capabilities import LSB_SCALE

HARMLESS = 0.07
"""kT that a cell may hear of couplers which should give 0: its slope is then off by its limit."""
OFFSETS = 2.5
"""Steps by which a coupler of code 0 may be off without a fault."""
PART = 0.3
"""Share of what a coupler is set to by which it may be off, before anything is calibrated."""
SAMPLES = 20_000
"""Samples of each cell."""
SIGMAS = 5.0


def shaken(work: Work) -> NDArray[np.bool_]:
    """(cells,) that hear more than is harmless of couplers with stuck bits, at the codes nearest to 0 that these allow. All
    couplers are set to those codes, biases to 0."""
    t, lsb = work.chip.topology, work.chip.capabilities.coupling_lsb * LSB_SCALE
    square = (work.loosen().coupling_codes * lsb) ** 2
    return np.asarray(np.bincount(t.target.astype(np.int64), square, work.chip.capabilities.cells) > HARMLESS**2)


def stuck_by_cells(work: Work, good: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(masks of stuck bits, what they are stuck at), (couplers,) each, of couplers by which a cell hears a neighbour though they
    are set to 0. good : (cells,) whose hearing counts

    The bit whose step comes nearest to what is heard is taken for stuck, and the coupler set to the code nearest to 0 that is
    left, until nothing is heard or no bit is left. Bits that are not in the way of a 0 stay unknown.
    """
    cap = work.chip.capabilities
    half, lsb = 1 << cap.coupling_bits - 1, cap.coupling_lsb * LSB_SCALE
    every, steps = np.arange(2 * half), 1 << np.arange(cap.coupling_bits)
    masks, at, codes = np.zeros((3, cap.couplers), np.int64)
    work.loosen()
    for number in range(cap.coupling_bits + 1):
        _write(work, codes)
        seen, errors = heard(work, np.zeros(cap.couplers), good, SAMPLES, number, 0.0)
        most = SIGMAS * errors + PART * abs(codes * lsb)
        off = abs(seen - codes * lsb) > np.maximum(most, max(HARMLESS, OFFSETS * lsb))
        suspects = np.flatnonzero(off & (masks != 2 * half - 1)).tolist()
        if not suspects:
            break
        for e in suspects:
            free = steps[masks[e] & steps == 0]
            turned = (codes[e] + half) ^ free
            nearest = int(abs(turned - half - seen[e] / lsb).argmin())
            masks[e] |= free[nearest]
            at[e] |= turned[nearest] & free[nearest]
            legal = every[every & masks[e] == at[e]]
            codes[e] = legal[abs(legal - half).argmin()] - half
    return masks, at


def _write(work: Work, codes: NDArray[np.int64]) -> None:
    """Codes (couplers,) as they are, whatever is known of stuck bits."""
    batch = work.chip.batch()
    batch.write_window("COUPLING", codes.astype(np.int16))
    batch.wait_field("FABRIC.STATUS.SETTLED", 1, max_cycles=work.chip.capabilities.settle_cycles + 1)
    batch.execute()
