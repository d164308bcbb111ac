"""Faults of a chip and of its firmware core, each drawn from a seed and struck at a cycle.

Whatever strikes, the core looks at its interrupt lines again in the next cycle, as it does when hardware raises one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsu_contract.bench import POSITIONS
from tsu_contract.registers import access_table
from tsu_emu import state as S
from tsu_emu.bench.client import OracleError
from tsu_emu.chip import Chip
from tsu_emu.chip.core import MEMORY, FirmwareCore
from tsu_emu.cpu import hart
from tsu_testing.in_process import InProcessOracle

CSRS = {
    "mstatus": 0x88, "mie": 0x888, "mtvec": 0xFFFFFFFD, "mscratch": 0xFFFFFFFF, "mepc": 0xFFFFFFFE, "mcause": 0xFFFFFFFF,
    "mtval": 0xFFFFFFFF,
}  # fmt: skip
"""Bits that each CSR has."""
DIP_CYCLES = (10, 10_000)
"""A brown-out holds the core in reset for so many cycles, uniform in the logarithm."""
DIP_BITS = 6
"""A brown-out turns over one bit of RAM in 2^DIP_BITS."""
TRIES = 1000


class Impossible(ValueError):
    """There is no such fault in this chip, or no campaign with this scenario; says why."""


@dataclass(frozen=True)
class Target:
    """What a campaign knows of a chip at the cycle of a fault.

    ram : (n,) words of RAM that the firmware uses; events : bits of IRQ.PENDING that somebody waits for
    """

    chip: Chip
    ram: NDArray[np.int64]
    events: int

    @property
    def core(self) -> FirmwareCore:
        """The firmware core. Impossible: there is none."""
        if self.chip.core is None:
            raise Impossible("the chip has no firmware core: cpu.image names no image")
        return self.chip.core

    @property
    def now(self) -> int:
        """The cycle that is over."""
        return self.chip.link_time


Strike = Callable[[Target, np.random.Generator], str]
"""Breaks something; says what, in words."""


def _bit(rng: np.random.Generator, mask: int) -> int:
    """One of the bits of a mask, as a mask."""
    return 1 << int(rng.choice([k for k in range(32) if mask >> k & 1]))


def _word(name: str) -> int:
    return access_table().word(name)


def strike_ram(t: Target, rng: np.random.Generator) -> str:
    """A bit of a word of RAM that the firmware uses turns over."""
    word, bit = int(rng.choice(t.ram)), _bit(rng, 0xFFFFFFFF)
    t.chip.state.core_ram[word] ^= np.uint32(bit)
    return f"RAM word {word:#x}, bits {bit:#010x}"


def strike_register(t: Target, rng: np.random.Generator) -> str:
    """A bit of x1 to x31 or of pc turns over."""
    number = int(rng.integers(1, 33))
    bit = _bit(rng, 0xFFFFFFFF if number < 32 else 0xFFFFFFFE)
    if number < 32:
        t.chip.state.hart["x"][0, number] ^= np.uint32(bit)
    else:
        t.chip.state.hart["pc"][0] ^= np.uint32(bit)
    return f"{f'x{number}' if number < 32 else 'pc'}, bits {bit:#010x}"


def strike_csr(t: Target, rng: np.random.Generator) -> str:
    """A bit that a CSR has turns over."""
    name = str(rng.choice(list(CSRS)))
    bit = _bit(rng, CSRS[name])
    t.chip.state.hart[name][0] ^= np.uint32(bit)
    return f"{name}, bits {bit:#010x}"


def strike_chip_register(t: Target, rng: np.random.Generator) -> str:
    """A flip-flop of a register turns over, any that leaves its field in its range."""
    table, oracle = t.chip.map.access, InProcessOracle(t.chip)
    addresses = 4 * np.flatnonzero(table.decode >= 0)
    for _ in range(TRIES):
        address, bit = int(rng.choice(addresses)), 1 << int(rng.integers(32))
        try:
            oracle.ask("upset", address=t.chip.map.places.outward_one(address), bits=bit)
        except OracleError:
            continue
        return f"{table.names[table.register[table.decode[address >> 2]]]} at {address:#06x}, bits {bit:#010x}"
    raise Impossible("the chip has no register to upset")


def strike_cell(t: Target, rng: np.random.Generator) -> str:
    """A cell is stuck from now on."""
    cell, at = int(rng.integers(t.chip.capabilities.cells)), str(rng.choice(list(POSITIONS)))
    InProcessOracle(t.chip).inject("stuck-cell", cell=cell, at=at)
    return f"cell {cell}, {at}"


def strike_adc(t: Target, rng: np.random.Generator) -> str:
    """A converter is dead from now on."""
    count = t.chip.capabilities.adc_count
    if not count:
        raise Impossible("the chip has no converter to kill (adc.count)")
    converter = int(rng.integers(count))
    InProcessOracle(t.chip).inject("dead-adc", converter=converter)
    return f"converter {converter}"


def strike_dropped(t: Target, rng: np.random.Generator) -> str:
    """The next event of a bit that somebody waits for is lost, or the timer's next match."""
    event = _bit(rng, t.events | 1 << 31)
    if event == 1 << 31:
        for name in ("TIMER.COMPARE_LOW", "TIMER.COMPARE_HIGH"):
            t.chip.state.registers[_word(name)] = 0xFFFFFFFF
        return "the timer's match"
    InProcessOracle(t.chip).inject("dropped-interrupt", events=event, count=1)
    return f"IRQ.PENDING, bits {event:#04x}"


def strike_spurious(t: Target, rng: np.random.Generator) -> str:
    """An event of such a bit, the timer's match or a word in the mailbox that never was."""
    registers, source = t.chip.state.registers, int(rng.integers(3))
    if source == 0:
        event = _bit(rng, t.events)
        registers[_word("IRQ.PENDING")] |= np.uint32(event)
        return f"IRQ.PENDING, bits {event:#04x}"
    if source == 1:
        registers[_word("TIMER.COMPARE_LOW")] = t.now & 0xFFFFFFFF
        registers[_word("TIMER.COMPARE_HIGH")] = t.now >> 32
        return "the timer's match"
    registers[_word("MAILBOX.STATUS")] |= np.uint32(1)
    return "MAILBOX.STATUS.TO_CORE"


def strike_bus(t: Target, rng: np.random.Generator) -> str:
    """The access that the core is about to make fails. ValueError: it is about to do something else."""
    h, core = t.chip.state.hart, t.core
    lines = int(h["lines"][0])
    h["lines"] = 0
    reason, _ = hart.run(h, core.model, core.rom, t.chip.state.core_ram, int(h["cycle"][0]) + 1)
    h["lines"] = lines
    if reason != hart.BUS:
        raise ValueError(f"the core makes no access at cycle {t.now + 1}")
    address = int(h["bus_address"][0])
    InProcessOracle(t.chip).inject("bus-error", address=address - MEMORY.mmio_base, accesses=1)
    return f"the access of {address:#010x}"


def strike_brown_out(t: Target, rng: np.random.Generator) -> str:
    """The core's supply dips: it is held in reset for a while, and some of RAM is not what it was."""
    ram, h = t.chip.state.core_ram, t.chip.state.hart
    cycles = round(float(np.exp(rng.uniform(*np.log(DIP_CYCLES)))))
    flips = np.full(len(ram), 0xFFFFFFFF, np.uint32)
    for _ in range(DIP_BITS):
        flips &= rng.integers(0, 1 << 32, len(ram), dtype=np.uint32)
    ram ^= flips
    h["cycle"] = t.now + 1 + cycles
    t.core.reset()
    return f"{cycles} cycles in reset"


def strike_stall(t: Target, rng: np.random.Generator) -> str:
    """The core stops, and no interrupt moves it: a reset alone can."""
    t.chip.state.hart["asleep"], t.chip.state.hart["mie"] = 1, 0
    return "the core stands still"


KINDS: dict[str, Strike] = {
    "ram": strike_ram,
    "register": strike_register,
    "csr": strike_csr,
    "chip-register": strike_chip_register,
    "stuck-cell": strike_cell,
    "dead-adc": strike_adc,
    "dropped-irq": strike_dropped,
    "spurious-irq": strike_spurious,
    "bus-error": strike_bus,
    "brown-out": strike_brown_out,
    "stall": strike_stall,
}
"""All kinds of faults, by name."""
OF_CORE = ("ram", "register", "csr", "bus-error", "brown-out", "stall")
"""Kinds that strike the firmware core."""
AT_ACCESS = ("bus-error",)
"""Kinds that strike at the core's accesses."""


def strike(kind: str, target: Target, rng: np.random.Generator) -> str:
    """A fault of a kind happens now; what it hit. KeyError: no such kind. Impossible: the chip lacks what is to be hit."""
    if kind not in KINDS:
        raise KeyError(f"no kind of faults {kind!r}; there are {', '.join(KINDS)}")
    if kind in OF_CORE and target.chip.core is None:
        raise Impossible(f"a fault of the kind {kind} strikes the firmware core, and the chip has none: cpu.image names no image")
    what = KINDS[kind](target, rng)
    events = target.chip.state.events
    events[S.EVENT_FIRMWARE] = min(int(events[S.EVENT_FIRMWARE]), target.now + 1)
    return what
