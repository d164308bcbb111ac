"""The debugger's `monitor` commands: what GDB has no words for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tsu_contract.operations import RECORD, Op
from tsu_contract.registers import REGISTERS
from tsu_emu import state as S
from tsu_emu.chip import Chip
from tsu_emu.chip.core_loop import compare_at
from tsu_emu.cpu.machine import EXTERNAL, SOFTWARE, TIMER
from tsu_emu.digital import words as W
from tsu_emu.server.target import Target

ADVANCE_MAX = 10**12
"""Cycles of one `advance`."""
HELP = """\
time            chip time, and the cycle at which the next instruction begins
irq             interrupts: pending, enabled for the core, its lines and mie, timer, mailbox
reset           the core starts anew at its entry; RAM and the chip stay
advance CYCLES  chip time goes on by so much when the core is continued, as by a host's DELAY
"""
LINES = (("external", EXTERNAL), ("software", SOFTWARE), ("timer", TIMER))


class Monitor:
    """Carries out commands on a core that is stopped.

    granted : cycles of `advance` that have still to pass
    """

    def __init__(self, target: Target) -> None:
        self._target, self._chip, self.granted = target, target.chip, 0
        self._commands: dict[str, Callable[[], str]] = {
            "time": self._time, "irq": self._interrupts, "reset": self._reset, "help": lambda: HELP,
        }  # fmt: skip

    def answer(self, text: str) -> str:
        """What the command has to say, in lines."""
        match text.split():
            case [name] if name in self._commands:
                return self._commands[name]()
            case ["advance", cycles] if cycles.isascii() and cycles.isdecimal() and len(cycles) < 14:
                if not 0 < int(cycles) <= ADVANCE_MAX:
                    return f"1 to {ADVANCE_MAX} cycles expected\n"
                self.granted += int(cycles)
                return f"{self.granted} cycles when the core is continued\n"
            case _:
                return "commands:\n" + HELP

    def spend(self) -> None:
        """The cycles that were granted pass."""
        record = np.zeros(1, RECORD)
        record["op"], record["arg"], self.granted = Op.DELAY, self.granted, 0
        self._chip.execute(record)

    def _time(self) -> str:
        now, hz = int(self._chip.state.time[S.NOW]), self._chip.capabilities.clock_hz
        return f"cycle {now} ({now / hz:.9g} s); the core goes on at cycle {int(self._target.hart['cycle'])}\n"

    def _reset(self) -> str:
        self._target.core.reset()
        return f"the core is at {self._target.pc:#010x}; let GDB forget its registers: maintenance flush register-cache\n"

    def _interrupts(self) -> str:
        registers, lines, enabled = self._chip.state.registers, self._target.core.lines(), int(self._target.hart["mie"])
        mailbox = int(registers[W.MAILBOX_STATUS])
        full = [side for side, mask in (("TO_CORE", W.FULL_TO_CORE), ("FROM_CORE", W.FULL_FROM_CORE)) if mailbox & mask]
        return (
            f"IRQ.PENDING     {_named(int(registers[W.IRQ_PENDING]))}\n"
            f"CPU.IRQ_ENABLE  {_named(int(registers[W.CPU_IRQ_ENABLE]))}\n"
            f"lines up        {_lines(lines)}\n"
            f"mie             {_lines(enabled)}\n"
            f"TIMER.COMPARE   {_compare(self._chip)}\n"
            f"mailbox full    {' '.join(full) or 'no'}\n"
        )


def _named(bits: int) -> str:
    """Interrupts by the names of their fields."""
    names = [name for name, field in REGISTERS["IRQ.PENDING"].fields.items() if field.mask & bits]
    return f"{bits:#010x} {' '.join(names)}".rstrip()


def _lines(bits: int) -> str:
    return " ".join(name for name, bit in LINES if bits >> bit & 1) or "none"


def _compare(chip: Chip) -> str:
    cycle = int(compare_at(chip.state.core))
    return "never" if cycle == S.NEVER else f"cycle {cycle}"
