"""The firmware core in the chip: its time, its interrupt lines, its timer and watchdog, and its accesses; docs/core.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tsu_contract.places import Places
from tsu_contract.registers import REGISTER_SPACE
from tsu_emu import state as S
from tsu_emu.chip.core_follow import Follower
from tsu_emu.chip.core_loop import NOBODY, SLICE, at_window, compare_at, lines_at, seen, takes, work, work_on
from tsu_emu.chip.firmware import FirmwareBus
from tsu_emu.chip.plant import Plant
from tsu_emu.chip.window_memory import Memory
from tsu_emu.config import ConfigError, Core
from tsu_emu.cpu import elf, hart
from tsu_emu.cpu.machine import MSCRATCH, TIMER, peek_csr, poke_csr
from tsu_emu.cpu.state import BUS_LOAD, MemoryMap, make_model, new_hart, reset
from tsu_emu.digital import words as W
from tsu_emu.digital.regfile import ON_BITE, peek_word, reset_registers
from tsu_emu.digital.validate import takes_word

MEMORY = MemoryMap(mmio_base=0x4000_0000, mmio_bytes=0x8000_0000)
"""The chip's register at 0 and its windows lie at 0x4000_0000 and on, as the core sees them."""


ACCESSES_A_STEP = 1000
"""Accesses that the compiled loop leaves to Python, in one go, some 10 ms."""


class FirmwareCore:
    """What makes the hart of a state run in its chip.

    config : the image; ConfigError if it cannot be loaded. The state is made that of power-on.
    places : where its map has registers and windows
    memory : behind its windows
    model, rom : of the hart; entry : where it starts; work, work_on : what executes it, those of `core_loop` or what calls them
    follower : what notes what it does while somebody watches
    """

    def __init__(self, config: Core, plant: Plant, state: S.ChipState, places: Places, memory: Memory) -> None:
        self._plant, self._state, self.places, self.memory = plant, state, places, memory
        self.model, self.work, self.work_on = make_model(MEMORY), work, work_on
        self.follower: Follower | None = None
        self.rom: NDArray[np.uint32] = np.zeros(config.rom_words, np.uint32)
        try:
            self.entry = elf.load_elf(Path(config.image).read_bytes(), MEMORY, self.rom, state.core_ram)
        except OSError as error:
            raise ConfigError(f"cpu.image {config.image}: {error.strerror}") from None
        except elf.ElfError as error:
            raise ConfigError(f"cpu.image {config.image}: {error}") from None
        state.hart[...] = new_hart(self.entry)
        state.registers[W.CPU_STATUS] = W.CPU_PRESENT
        state.registers[W.CPU_PC] = self.entry
        state.events[S.EVENT_FIRMWARE] = 0

    def step(self, until: int, watch: NDArray[np.int64], bus: FirmwareBus, follow: Callable[[int], None]) -> None:
        """The core's event is due at NOW: it works as far as nothing else happens, at most to `until`.

        watch : of `core_loop.work`; bus : for accesses that are not just to registers; follow : is told what follows from writes
        """
        s, h = self._state, self._state.hart[0]
        now = int(s.time[S.NOW])
        s.events[S.EVENT_FIRMWARE] = S.NEVER
        if h["cycle"] > now and not self.held:
            s.events[S.EVENT_FIRMWARE] = h["cycle"]
            return
        if self.held or self._bitten:
            self._bite(follow)
            return
        h["cycle"] = max(int(h["cycle"]), now)
        p, stop = self._plant, h["cycle"] + SLICE
        machine = s.hart, self.model, self.rom, s.core_ram
        reason, effects = self.work(s.core, p.rules, p.timing, *machine, until, watch)
        for _ in range(ACCESSES_A_STEP):
            if reason == hart.BUS:
                reason, effects = self.work_on(s.core, p, self.memory, *machine, min(until, stop), watch)
            if reason != hart.BUS:
                break
            self._access(bus)
            if h["cycle"] >= stop or self.follower or (watch[0] != NOBODY and seen(s.core, p.rules, watch)):
                break
            reason, effects = self.work(s.core, p.rules, p.timing, *machine, until, watch)
        if effects:
            follow(effects)
        now, due = int(s.time[S.NOW]), int(h["cycle"])
        waits = reason == hart.ASLEEP and due <= now
        if waits:
            due = self._wakes(now)
        self._publish(waits)
        s.events[S.EVENT_FIRMWARE] = due

    def _wakes(self, now: int) -> int:
        """When the sleeping core wakes by itself."""
        s = self._state
        bite, compare = int(s.core["firmware"][0, S.BITE_AT]), int(compare_at(s.core))
        timer = compare > now and bool(s.hart["mie"][0] & 1 << TIMER)
        return min([S.NEVER] + [bite] * (bite > 0) + [compare] * timer)

    def follow(self, on: bool) -> None:
        """Whether what the core does is noted from now on."""
        if not on:
            self.follower, self.work, self.work_on = None, work, work_on
        elif self.follower is None:
            self.follower = Follower(self._state.hart, self.model, self.rom, self._state.core_ram)
            self.work, self.work_on = self.follower.work, self.follower.work_on

    @property
    def held(self) -> bool:
        """Whether the core is held in reset."""
        return bool(self._state.registers[W.CPU_CTRL] & W.CPU_HOLD)

    @property
    def _bitten(self) -> bool:
        """Whether the watchdog's period is over."""
        return 0 < int(self._state.core["firmware"][0, S.BITE_AT]) <= int(self._state.time[S.NOW])

    @property
    def due(self) -> bool:
        """Whether the core, if it is awake, is about to begin an instruction at NOW, or to enter an interrupt."""
        return not self.held and not self._bitten and int(self._state.hart["cycle"][0]) <= int(self._state.time[S.NOW])

    def _bite(self, follow: Callable[[int], None]) -> None:
        """The core is reset, as it is held or its watchdog bites; the second may reset more."""
        s, p = self._state, self._plant
        more = int(p.rules["policy"][0, ON_BITE]) if self._bitten else -1
        self.reset()
        if more >= 0:
            reset_registers(s.core, p.rules)
            follow(more)

    def reset(self) -> None:
        """The core is reset at its cycle, NOW at the earliest; the watchdog is off. RAM stays."""
        s, bitten = self._state, self._bitten
        cycle = max(int(s.hart["cycle"][0]), int(s.time[S.NOW]))
        reset(s.hart, self.entry, cycle)
        s.core["firmware"][0, S.BITE_AT] = 0
        s.registers[W.WATCHDOG] = 0
        s.registers[W.CPU_STATUS] |= np.uint32(W.CPU_BITTEN * bitten)
        s.events[S.EVENT_FIRMWARE] = S.NEVER if self.held else cycle
        self._publish(False)

    def lines(self) -> int:
        """Interrupt lines as they stand when the next instruction begins, as bits of mip."""
        core, cycle = self._state.core, max(int(self._state.hart["cycle"][0]), int(self._state.time[S.NOW]))
        return int(lines_at(core[0], cycle, compare_at(core)))

    def _publish(self, asleep: bool) -> None:
        s = self._state
        s.registers[W.CPU_PC] = s.hart["pc"][0]
        status = int(s.registers[W.CPU_STATUS]) & ~W.CPU_ASLEEP
        s.registers[W.CPU_STATUS] = status | W.CPU_ASLEEP * asleep

    def _access(self, bus: FirmwareBus) -> None:
        """The access that the hart describes, at NOW: to trims or the sensor, or a fault where there is nothing such."""
        s, h = self._state, self._state.hart[0]
        address, value = self.places.inward_one(int(h["bus_address"]) - MEMORY.mmio_base), int(h["bus_value"])
        load, bus.cost = int(h["bus_kind"]) == BUS_LOAD, 0
        if h["bus_size"] != 4 or not self.has(address, load, value):
            hart.bus_fault(s.hart, self.model, int(self._plant.timing[0]["issue"]) + 1)
        elif load:
            found = bus.read(address)
            hart.finish_load(s.hart, found, max(bus.cost, 1))
        else:
            bus.write(address, value)
            hart.finish_store(s.hart, max(bus.cost, 1))

    def has(self, address: int, load: bool, value: int) -> bool:
        """Whether there is such a register and it takes the value, or whether the host might make the same access to a window: a
        word of the contract's address space, a load, or a store of `value`."""
        if address < REGISTER_SPACE:
            word = int(self._plant.rules["decode"][0, address >> 2])
            return word >= 0 and (load or bool(takes(self._plant.rules, word, value)))
        return bool(takes_word(self._plant.windows, address, not load, value))


def warm_up_core(plant: Plant, state: S.ChipState, memory: Memory) -> None:
    """Compiles what a chip's core runs, on a hart of its own whose first instruction traps; `state` is any chip's, and stays."""
    harts, model, watch = new_hart(MEMORY.ram_base), make_model(MEMORY), np.array([NOBODY, 0, 0])
    rom, ram = np.zeros(1, np.uint32), np.zeros(1, np.uint32)
    work(state.core, plant.rules, plant.timing, harts, model, rom, ram, 0, watch)
    work_on(state.core, plant, memory, harts, model, rom, ram, 0, watch)
    follower = Follower(harts, model, rom, ram)
    follower.work(state.core, plant.rules, plant.timing, harts, model, rom, ram, 0, watch)
    follower.work_on(state.core, plant, memory, harts, model, rom, ram, 0, watch)
    follower.notes()
    at_window(state.core, plant, memory, harts, model)
    seen(state.core, plant.rules, watch)
    takes(plant.rules, 0, 0)
    takes_word(plant.windows, REGISTER_SPACE, False, 0)
    reset_registers(state.core.copy(), plant.rules)
    lines_at(state.core[0], 0, compare_at(state.core))
    peek_word(state.core[0], plant.rules[0], 0)
    poke_csr(harts, MSCRATCH, 0)
    peek_csr(harts, model, MSCRATCH)
    hart.bus_fault(harts, model, 1)
    hart.finish_load(harts, 0, 1)
    hart.finish_store(harts, 1)
