"""The firmware core as a debugger sees it, between two instructions: registers, memory and the chip's bus.

Nothing here takes chip time, and reading has no side effects.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_contract.registers import REGISTER_SPACE
from tsu_emu import state as S
from tsu_emu.chip import Chip
from tsu_emu.chip.core import MEMORY
from tsu_emu.cpu import machine
from tsu_emu.cpu.state import NO_ADDRESS
from tsu_emu.digital import words as W
from tsu_emu.digital.regfile import read_word

SAVED, ARGUMENTS, TEMPORARIES = ([f"{letter}{k}" for k in range(n)] for letter, n in (("s", 12), ("a", 8), ("t", 7)))
ABI = ["zero", "ra", "sp", "gp", "tp", *TEMPORARIES[:3], "fp", "s1", *ARGUMENTS, *SAVED[2:], *TEMPORARIES[3:], "pc"]
"""Names of the general registers and pc, in GDB's order."""
PC = 32
TYPES = {"ra": "code_ptr", "pc": "code_ptr", "sp": "data_ptr", "gp": "data_ptr", "tp": "data_ptr", "fp": "data_ptr"}
WRITABLE = {
    "mstatus": machine.MSTATUS, "mie": machine.MIE_, "mtvec": machine.MTVEC, "mscratch": machine.MSCRATCH,
    "mepc": machine.MEPC, "mcause": machine.MCAUSE, "mtval": machine.MTVAL,
}  # fmt: skip
READABLE = WRITABLE | {
    "mip": machine.MIP, "misa": machine.MISA_, "mcountinhibit": machine.INHIBIT, "mcycle": machine.MCYCLE,
    "mcycleh": machine.MCYCLEH, "minstret": machine.MINSTRET, "minstreth": machine.MINSTRETH, "mhartid": machine.MHARTID,
}  # fmt: skip
"""Control and status registers that a debugger sees, by name; they follow pc in GDB's order."""
NAMES = [*ABI, *READABLE]
REGION = '<memory type="{}" start="{:#x}" length="{:#x}"/>'


class Refused(ValueError):
    """The core or the chip has nothing such; says what."""


class Target:
    """One chip's core; ValueError if it has none."""

    def __init__(self, chip: Chip) -> None:
        if chip.core is None:
            raise ValueError("the chip has no firmware core; cpu.image names what one is to execute")
        self.chip, self.core, self._state = chip, chip.core, chip.state
        self.hart: Any = chip.state.hart[0]

    @property
    def pc(self) -> int:
        """Address of the next instruction."""
        return int(self.hart["pc"])

    @property
    def dormant(self) -> bool:
        """Whether nothing will be executed until an interrupt comes or the host lets go of the core."""
        return self.core.held or bool(self.hart["asleep"])

    def position(self) -> tuple[int, int, int]:
        """What differs as soon as the core has done anything."""
        return self.pc, int(self.hart["retired"]), 0 if self.dormant else int(self.hart["cycle"])

    def register(self, number: int) -> int:
        """A register by GDB's number; Refused if there is no such."""
        if not 0 <= number < len(NAMES):
            raise Refused(f"register {number}")
        if number < PC:
            return int(self.hart["x"][number])
        if number == PC:
            return self.pc
        harts = self._state.hart.copy()
        harts["lines"] = self.core.lines()
        return int(machine.peek_csr(harts, self.core.model, READABLE[NAMES[number]]))

    def set_register(self, number: int, value: int) -> None:
        """Refused if there is no such register, or if it is one that only time or the chip changes."""
        if number == PC:
            self.hart["pc"], self.hart["asleep"] = value & ~1, 0
        elif 0 < number < PC:
            self.hart["x"][number] = value
        elif number != 0:
            if not PC < number < len(NAMES) or NAMES[number] not in WRITABLE:
                raise Refused(f"register {number}")
            machine.poke_csr(self._state.hart, WRITABLE[NAMES[number]], value)
        self._look_again()

    def _look_again(self) -> None:
        """What was changed may wake the core."""
        time, events = int(self._state.time[S.NOW]), self._state.events
        events[S.EVENT_FIRMWARE] = min(int(events[S.EVENT_FIRMWARE]), max(time, int(self.hart["cycle"])))

    def _memories(self) -> list[tuple[int, NDArray[np.uint8]]]:
        return [(MEMORY.rom_base, self.core.rom.view(np.uint8)), (MEMORY.ram_base, self._state.core_ram.view(np.uint8))]

    def read(self, address: int, length: int) -> bytes:
        """Bytes from an address on, as many as there are up to `length`; Refused if there is none."""
        for base, memory in self._memories():
            if base <= address < base + len(memory):
                return memory[address - base : address - base + length].tobytes()
        first = address & ~3
        words = self._peek(first - MEMORY.mmio_base, (address + length - first + 3) // 4)
        found = words[address - first :][:length]
        if not found:
            raise Refused(f"nothing at {address:#010x}")
        return found

    def _peek(self, offset: int, count: int) -> bytes:
        """Words of the chip's address space as the core would read one after the other, up to the first that is not there."""
        core, found, bus = self._state.core.copy(), b"", self.chip.firmware_bus()
        for at in map(self.core.places.inward_one, range(offset, min(offset + 4 * count, MEMORY.mmio_bytes), 4)):
            if offset < 0 or not self.core.has(at, True, 0):
                break
            if at < REGISTER_SPACE:
                word = int(self.chip.map.access.decode[at >> 2])
                if word == W.SENSOR:
                    core["registers"][0, word] = self.chip.surroundings.sensor_code(int(self._state.time[S.NOW]))
                value = int(read_word(core[0], self.chip.plant.rules[0], word))
            else:
                value = bus.read(at)
            found += value.to_bytes(4, "little")
        return found

    def write(self, address: int, data: bytes) -> None:
        """Bytes to RAM, or words to the chip's bus as a store of the core at this cycle; Refused if not all of them can be."""
        base, ram = self._memories()[1]
        if base <= address and address + len(data) <= base + len(ram):
            ram[address - base : address - base + len(data)] = np.frombuffer(data, np.uint8)
            return
        offset, values = address - MEMORY.mmio_base, np.frombuffer(data[: len(data) // 4 * 4], "<u4").tolist()
        stores = [(self.core.places.inward_one(offset + 4 * k), value) for k, value in enumerate(values)]
        whole = offset >= 0 and offset % 4 == 0 and len(data) % 4 == 0 and offset + len(data) <= MEMORY.mmio_bytes
        if not whole or not all(self.core.has(at, False, value) for at, value in stores):
            raise Refused(f"{len(data)} bytes cannot be stored at {address:#010x}")
        bus = self.chip.firmware_bus()
        for at, value in stores:
            bus.write(at, value)
            if at < REGISTER_SPACE and self.chip.map.access.decode[at >> 2] == W.WATCHDOG:
                self._state.core["firmware"][0, S.BITE_AT] = int(self._state.time[S.NOW]) + value if value else 0
        self._look_again()

    def set_breakpoint(self, address: int) -> None:
        """Refused if all are in use, or where no instruction can be."""
        breakpoints = self.hart["breakpoints"]
        if address in breakpoints:
            return
        free = np.flatnonzero(breakpoints == NO_ADDRESS)
        if not len(free) or address % 2 or not 0 <= address < 1 << 32:
            raise Refused(f"no breakpoint at {address:#010x}")
        breakpoints[free[0]] = address

    def clear_breakpoint(self, address: int) -> None:
        """The breakpoint at an address, if there is one."""
        breakpoints = self.hart["breakpoints"]
        breakpoints[breakpoints == np.uint32(address & NO_ADDRESS)] = NO_ADDRESS

    def clear(self) -> None:
        """Nothing is left of a debugger in the chip's state."""
        self.hart["breakpoints"], self.hart["halted"] = NO_ADDRESS, NO_ADDRESS

    def at_breakpoint(self) -> bool:
        """Whether the core stands before an instruction with a breakpoint that it has just come to."""
        return self.hart["halted"] == self.hart["pc"]

    def pass_breakpoint(self) -> None:
        """The core will execute the next instruction even if there is a breakpoint."""
        self.hart["halted"] = self.pc if self.hart["pc"] in self.hart["breakpoints"] else NO_ADDRESS

    def description(self) -> bytes:
        """target.xml: architecture and registers."""
        general = "".join(_row(name, TYPES.get(name, "int")) for name in ABI)
        control = "".join(_row(name, "int") for name in READABLE)
        return (
            '<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target version="1.0">'
            "<architecture>riscv:rv32</architecture>"
            f'<feature name="org.gnu.gdb.riscv.cpu">{general}</feature>'
            f'<feature name="org.gnu.gdb.riscv.csr">{control}</feature></target>'
        ).encode()

    def memory_map(self) -> bytes:
        """Where ROM, RAM and the chip are, for GDB; it has no word for registers, and calls them RAM."""
        (rom, rom_bytes), (ram, ram_bytes) = self._memories()
        regions = [("rom", rom, len(rom_bytes)), ("ram", ram, len(ram_bytes)), ("ram", MEMORY.mmio_base, MEMORY.mmio_bytes)]
        return ('<?xml version="1.0"?><memory-map>' + "".join(REGION.format(*row) for row in regions) + "</memory-map>").encode()


def _row(name: str, kind: str) -> str:
    return f'<reg name="{name}" bitsize="32" type="{kind}" regnum="{NAMES.index(name)}"/>'
