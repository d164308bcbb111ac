"""The offset servo: every cell's mean at zero bias and coupling to 0, by its offset trim."""

from __future__ import annotations

import numpy as np

from tsu_firmware import fixed
from tsu_firmware.machine import Call, End, Goto, Machine, Routine
from tsu_firmware.offsets import MEASURE, add_figures, check, reads_of
from tsu_firmware.quiet import enter, leave
from tsu_firmware.sequencer import UNSUPPORTED

SAMPLES = (2000, 2000, 5000, 20000, 100000, 300000)
"""Of each cell in the rounds."""


def write_codes(m: Machine, codes: np.ndarray[tuple[int], np.dtype[np.int16]]) -> None:
    """Offset trims of the first cells."""
    padded = np.zeros(len(codes) + len(codes) % 2, np.int16)
    padded[: len(codes)] = codes
    m.put_block("TRIM_OFFSET", 0, padded.view(np.uint32))


def _top(m: Machine) -> int:
    return int((1 << m.read("CAP.TRIM_BITS") - 1) - 1)


def _score(offset: int, reads: int, error_one: int) -> int:
    """What the offset is at worst, two standard errors on; error_one is that of one read."""
    return abs(offset) + 2 * (error_one << 8) // fixed.root(reads << 16)


def _note(m: Machine, cell: int, error_one: int) -> None:
    """The best code that a cell has had: a trim whose steps go backwards makes the servo hunt, and the last code is not the best.
    A measurement joins that of the same code, or takes its place if it is better."""
    offset, code, reads, before = int(m["offset"][cell]), int(m["code"][cell]), m["reads"], int(m["best_reads"][cell])
    best = int(m["best_offset"][cell])
    if before and m["best_code"][cell] == code:
        m["best_offset"][cell] = fixed.ratio(best * before + offset * reads, before + reads)
        m["best_reads"][cell] = before + reads
    elif not before or _score(offset, reads, error_one) < _score(best, before, error_one):
        m["best_code"][cell], m["best_offset"][cell], m["best_reads"][cell] = code, offset, reads


def _enter(m: Machine) -> End | None:
    status = (check(m) if m.read("CAP.TRIM_BITS") else UNSUPPORTED) or enter(m)
    if status:
        return End(status)
    cells = m.read("CAP.CELLS")
    m["code"][:cells] = m.block("TRIM_OFFSET", 0, (cells + 1) // 2).view(np.int16)[:cells]
    m["best_reads"][:] = 0
    m["round"] = 0
    return None


def _measure(m: Machine) -> Call:
    m["reads"] = reads_of(m, SAMPLES[m["round"]])
    write_codes(m, m["code"][: m.read("CAP.CELLS")])
    return Call(MEASURE)


def _step(m: Machine) -> Goto | None:
    """The code nearest to taking each offset away; a step of the trim is Q28, an offset Q24."""
    step, top, cells = m.read("CAP.TRIM_OFFSET_LSB"), _top(m), m.read("CAP.CELLS")
    if m["round"] == 0:
        m["before"] = m["rms"]
    error_one = m["error"] * fixed.root(m["reads"] << 16) >> 8
    for cell in range(cells):
        _note(m, cell, error_one)
        to = int(m["code"][cell]) - fixed.ratio(16 * int(m["offset"][cell]), step)
        m["code"][cell] = min(max(to, -top - 1), top)
    m["round"] += 1
    return Goto(_measure) if m["round"] < len(SAMPLES) else None


def _take_best(m: Machine) -> Call:
    best, top = m["best_code"][: m.read("CAP.CELLS")], _top(m)
    m["ends"] = int(np.sum((best == top) | (best == -top - 1)))
    write_codes(m, best)
    m["reads"] = reads_of(m, SAMPLES[-1])
    return Call(MEASURE)


SERVO = Routine((_enter, _measure, _step, _take_best, leave))
"""`before` is the rms of the first round, Q24; what the trims leave is measured anew; `ends` are the cells whose trim is at an
end of its range."""


def _figures(m: Machine) -> None:
    m.answer(m["before"] >> 8)
    add_figures(m)
    m.answer(m["ends"])


SERVO_COMMAND = Routine((lambda _: Call(SERVO), _figures))
