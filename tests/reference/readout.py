"""Everything the host can read, at the end of a scenario."""

from __future__ import annotations

import numpy as np

from tsu_contract.capabilities import Capabilities
from tsu_contract.program import Opcode
from tsu_contract.registers import REGISTERS, WINDOWS

from .operations import OperationList

READ_OFTEN = (
    "SEQ.STATUS", "SEQ.STATUS", "SEQ.PC", "SEQ.SWEEPS_LEFT", "FABRIC.STATUS", "FABRIC.SWEEP", "SYS.CYCLE", "SYS.ERROR",
    "IRQ.PENDING", "CORR.COUNT", "TEMP.TDAC", "SYS.SCRATCH", "CORR.CTRL", "MON.PHYS_TIME", "MON.ENERGY", "MON.ENERGY_UPDATE",
    "MON.ENERGY_READ", "MON.ENERGY_WRITE", "MON.ENERGY_ADC", "MON.ENERGY_STANDBY", "TEMP.SENSOR", "ADC.MUX", "ADC.ELEMENT",
    "ADC.PERIOD", "ADC.MODE", "ADC.CLIPPED", "MON.ENERGY_LEARN", "LEARN.UPDATES", "LEARN.VERSION", "LEARN.SPIN_VERSION",
    "LEARN.SATURATED", "LEARN.CHANGED", "LEARN.CLIPPED", "DMA.TAIL", "DMA.UNDERRUNS", "TEMPERING.SWAPS", "TEMP.STEP",
    "CAL.STATUS", "CAL.AGE",
)  # fmt: skip

ENGINES = ("CORR.", "LEARN.", "DMA.", "TEMPERING.", "TEMP.")
"""Blocks of registers that the chip itself changes and RESET clears."""


def read_out(capabilities: Capabilities, idle_gap: int) -> OperationList:
    """Everything the host can read: state as it is, then after a RESET and a STROBE; then `idle_gap` cycles."""
    out = OperationList()
    for name in READ_OFTEN:
        out.read(name)
    _read_registers(out, *(name for name in REGISTERS if name.startswith(ENGINES)))
    for window in ("SPIN", "CORR_PAIR", "CORR_MEAN"):
        _read_whole(out, capabilities, window)
    out.write("SYS.CTRL", 1)
    _read_registers(out, *REGISTERS)
    out.write("CORR.CTRL", 4)
    for window in WINDOWS:
        _read_whole(out, capabilities, window)
    out.write_burst("PROGRAM", 0, np.array([Opcode.STROBE << 56, Opcode.HALT << 56], "<u8").tobytes())
    out.write("SEQ.CTRL", 1)
    out.wait("SEQ.STATUS", 2, 0xFF, 10_000)
    _read_whole(out, capabilities, "SPIN")
    out.wait("FABRIC.STATUS", 1, 1, 10_000)
    if idle_gap:
        out.write("IRQ.ENABLE", 127)
        if idle_gap % 2:
            out.write("CAL.LIMIT", idle_gap >> 17)
        out.delay(idle_gap)
        for name in ("SYS.CYCLE", "MON.ENERGY", "MON.ENERGY_STANDBY"):
            out.read(name, high=True)
            out.read(name)
            out.read(name, high=True)
        for name in ("TEMP.SENSOR", "CAL.STATUS", "IRQ.PENDING"):
            out.read(name)
        out.write("CAL.CTRL", 1)
        out.read("CAL.STATUS")
        out.delay_until(idle_gap + 1)
    out.read("SYS.CYCLE")
    return out


def _read_registers(out: OperationList, *names: str) -> None:
    for name in names:
        reg = REGISTERS[name]
        for index in range(reg.count if reg.mask("r", "rw", "w1c") else 0):
            for half in range(reg.words):
                out.read(name, index, bool(half))


def _read_whole(out: OperationList, capabilities: Capabilities, window: str) -> None:
    words = capabilities.words(WINDOWS[window])
    if words and window != "TOPO_POSITION":
        out.read_burst(window, 0, words)
