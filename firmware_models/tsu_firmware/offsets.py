"""Offsets of cells by the correlator's means, on a quiet array.

The correlator averages over planes and, with weight 1/256 for what is new, over sweeps. A read every 256 samples leaves reads
that overlap a little; their mean has 1.09 times the variance of independent samples.
"""

from __future__ import annotations

import numpy as np

from tsu_contract.program import Opcode
from tsu_contract.registers import register, value_of
from tsu_firmware import fixed
from tsu_firmware.machine import CELLS_MAX, Call, End, Goto, Machine, Routine
from tsu_firmware.quiet import CLOCKED, enter, leave
from tsu_firmware.sequencer import ARGUMENTS, OK, RUN, UNSUPPORTED, load, patience

READ_SAMPLES = 256
ALPHA_READ, ALPHA_BURN = 256, 1024
"""Weights of what is new, in 2^-16; the second forgets four times faster what was before."""
ASYNC_PERIOD = 3
"""Sweeps between samples of cells that flip by themselves."""
STUCK_Q30 = 1041529569
"""A mean of .97."""
LOOK_READS = 4
SUM_MAX = 0x7FFF
ASYNC = value_of("CAP.CELL_KIND.KIND", "PBIT_ASYNC")


def check(m: Machine) -> int:
    """UNSUPPORTED unless the chip has p-bits, no more than the firmware's memory takes."""
    pbits = m.read("CAP.CELL_KIND") in (CLOCKED, ASYNC)
    return OK if pbits and m.read("CAP.CELLS") <= CELLS_MAX else UNSUPPORTED


def reads_max(m: Machine) -> int:
    """Reads whose sum fits 32 bits."""
    return SUM_MAX // m.read("CAP.PLANES")


def reads_of(m: Machine, samples: int) -> int:
    """Reads that give each cell about so many samples, at least 1."""
    each = READ_SAMPLES * m.read("CAP.PLANES")
    return min((samples + each - 1) // each, reads_max(m))


def _period(m: Machine) -> int:
    return 1 if m.read("CAP.CELL_KIND") == CLOCKED else ASYNC_PERIOD


def _begin(m: Machine) -> Call:
    period = _period(m)
    sweeps = READ_SAMPLES * period
    load(m, 0, (Opcode.WAIT_SETTLE, 0), (Opcode.RUN, sweeps), (Opcode.CORR_LATCH, 0), (Opcode.HALT, 0))
    m["offset"][:] = 0
    m["read"], m["patience"] = 0, patience(m, sweeps)
    m.write("CORR.PERIOD", period)
    m.write("CORR.ALPHA_FREE", ALPHA_BURN)
    m.write("CORR.CTRL", register("CORR.CTRL").fields["ENABLE"].mask)
    return Call(RUN)


def _burnt_in(m: Machine) -> None:
    m.write("CORR.ALPHA_FREE", ALPHA_READ)


def _next_read(m: Machine) -> Call | Goto:
    return Call(RUN) if m["read"] < m["reads"] else Goto(_conclude)


def _add_means(m: Machine) -> Goto:
    """The free role's means as they were latched; a mean of 1 is planes x 2^16."""
    cells = m.read("CAP.CELLS")
    m["offset"][:cells] += m.block("CORR_MEAN", cells, cells).view(np.int32)
    m["read"] += 1
    return Goto(_next_read)


def _conclude(m: Machine) -> None:
    """Sums to offsets in place, Q24, and the figures over all cells that move."""
    cells, planes, squares = m.read("CAP.CELLS"), m.read("CAP.PLANES"), 0
    whole = m["reads"] * planes
    m["stuck"] = m["worst"] = m["worst_cell"] = 0
    for k, total in enumerate(m["offset"][:cells].tolist()):
        mean = fixed.ratio(total << 14, whole)
        m["offset"][k] = offset = fixed.atanh(mean)
        if abs(mean) > STUCK_Q30:
            m["stuck"] += 1
            continue
        squares += offset * offset >> 8
        if abs(offset) > m["worst"]:
            m["worst"], m["worst_cell"] = abs(offset), k
    moving = cells - m["stuck"]
    m["rms"] = fixed.root(squares // moving) << 4 if moving else 0
    m["error"] = fixed.root((1 << 48) // (whole * READ_SAMPLES))


MEASURE = Routine((_begin, _burnt_in, _next_read, _add_means, _conclude))
"""`reads` reads of 256 samples in each plane: `offset`, and over the cells that move `rms`, `worst`, `worst_cell`; `error` is
that of an offset near 0. Fields in kT at T = 1, Q24; `stuck` counts cells whose mean's size is above .97."""


def left(m: Machine) -> int:
    """rms with the error of measurement taken off, Q24."""
    return fixed.root(max(m["rms"] ** 2 - m["error"] ** 2, 0))


def add_figures(m: Machine) -> None:
    """Adds what was measured to the answer, in 2^-16 kT."""
    m.answer(m["rms"] >> 8, m["worst"] >> 8, m["worst_cell"], m["error"] >> 8, m["stuck"])


def _quiet(m: Machine) -> Call | End:
    status = check(m) or enter(m)
    return End(status) if status else Call(MEASURE)


LOOK = Routine((_quiet, leave))
"""Quiets the array, measures with `reads` reads, and puts everything back."""


def _look(m: Machine) -> Call | End:
    m["reads"] = reads = m["arguments"][0] if m["header"] >> 8 & 0xFF else LOOK_READS
    return Call(LOOK) if 1 <= reads <= reads_max(m) else End(ARGUMENTS)


LOOK_COMMAND = Routine((_look, add_figures))
