"""An array to oneself: what the host has programmed is put aside, and back afterwards."""

from __future__ import annotations

import numpy as np

from tsu_contract.registers import value_of
from tsu_firmware.machine import SAVED_WORDS, Machine
from tsu_firmware.sequencer import BUSY, OK, UNSUPPORTED, bias_words, coupling_words, running

PROGRAM_KEPT = 4
"""Instructions of PROGRAM that may be used meanwhile."""
REGISTERS = ("TEMP.SCHEDULE", "TEMP.TDAC", "CORR.CTRL", "CORR.PERIOD", "CORR.ALPHA_FREE", "SEQ.PC")
PLANE_SETS = ("FABRIC.PLANE_ENABLE", "CORR.FREE_PLANES", "CORR.DATA_PLANES")
SOFT_FIELDS_MAX = 1 << 25
PLANE_TEMP_ONE = 4096
CLOCKED = value_of("CAP.CELL_KIND.KIND", "PBIT_CLOCKED")


def tdac_of_one(m: Machine) -> int:
    """TDAC of T = 1, as near as it comes."""
    lsb = m.read("CAP.TEMP_LSB")
    return ((1 << 28) + lsb // 2) // lsb


def set_plane_temperatures(m: Machine, multiplier: int) -> None:
    """The same multiplier of T, in 1/4096, for every plane."""
    planes = m.read("CAP.PLANES")
    words = np.full((planes + 1) // 2, multiplier << 16 | multiplier, np.uint32)
    if planes % 2:
        words[-1] = multiplier
    m.put_block("PLANE_TEMP", 0, words)


def _windows(m: Machine) -> dict[str, int]:
    """Windows that are put aside, and words of each."""
    cells, planes = m.read("CAP.CELLS"), m.read("CAP.PLANES")
    return {
        "COUPLING": coupling_words(m),
        "BIAS": bias_words(m),
        "CLAMP_MASK": planes * ((cells + 31) // 32),
        "PLANE_TEMP": (planes + 1) // 2,
        "PROGRAM": 2 * PROGRAM_KEPT,
    }


def _soft_fields(m: Machine) -> bool:
    """Whether a soft field is set: it would shift its cell, and they are too many to be put aside."""
    fields = m.read("CAP.CELLS") * m.read("CAP.PLANES")
    if m.read("CAP.CELL_KIND") != CLOCKED or fields > SOFT_FIELDS_MAX:
        return False
    return bool(m.block("SOFT", 0, (fields + 1) // 2).any())


def _every_plane(m: Machine) -> list[int]:
    """Bits of the planes that the chip has, as words of a plane set."""
    planes = m.read("CAP.PLANES")
    return [(1 << min(planes - 32 * w, 32)) - 1 for w in range((planes + 31) // 32)]


def enter(m: Machine) -> int:
    """Puts couplings, biases, clamps, plane temperatures, the start of PROGRAM and the registers in the way aside; then all of
    them are as at power-on: T = 1, every plane enabled and in the correlator's free role.

    BUSY: the sequencer runs, or a soft field is set. UNSUPPORTED: the chip is larger than the memory for it.
    """
    if running(m) or _soft_fields(m):
        return BUSY
    windows, every = _windows(m), _every_plane(m)
    if sum(windows.values()) > SAVED_WORDS or m.read("CAP.PROGRAM_WORDS") < PROGRAM_KEPT:
        return UNSUPPORTED
    m["registers"][: len(REGISTERS)] = [m.read(name) for name in REGISTERS]
    for k, name in enumerate(PLANE_SETS):
        m["planes"][k, : len(every)] = [m.read(name, w) for w in range(len(every))]
    at = 0
    for name, words in windows.items():
        m["saved"][at : at + words] = m.block(name, 0, words)
        at += words
    for name in ("COUPLING", "BIAS", "CLAMP_MASK"):
        m.fill(name, 0, windows[name])
    set_plane_temperatures(m, PLANE_TEMP_ONE)
    m.write("TEMP.SCHEDULE", value_of("TEMP.SCHEDULE.MODE", "OFF"))
    m.write("TEMP.TDAC", tdac_of_one(m))
    for w, planes in enumerate(every):
        for name, value in zip(PLANE_SETS, (planes, planes, 0), strict=True):
            m.write(name, value, w)
    return OK


def leave(m: Machine) -> None:
    """Puts everything back. The correlator's sums are lost, and the weights are a new version."""
    at = 0
    for name, words in _windows(m).items():
        m.put_block(name, 0, m["saved"][at : at + words])
        at += words
    for k, name in enumerate(PLANE_SETS):
        for w in range(len(_every_plane(m))):
            m.write(name, int(m["planes"][k, w]), w)
    for k, name in enumerate(REGISTERS):
        m.write(name, int(m["registers"][k]))
