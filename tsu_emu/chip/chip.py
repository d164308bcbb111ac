"""A chip: built from a configuration, driven by validated lists of operations, with its boot firmware inside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_contract.errors import Code, Failure
from tsu_contract.firmware import Firmware
from tsu_contract.operations import Op
from tsu_contract.wire import Frame, Interrupt
from tsu_emu import state as S
from tsu_emu.analog.dead import dead_cells_of, masks_of
from tsu_emu.analog.pbit import place_soft
from tsu_emu.chip import link
from tsu_emu.chip.assembly import assemble, make_core
from tsu_emu.chip.firmware import FirmwareBus
from tsu_emu.chip.motion import Motion
from tsu_emu.chip.plant import Plant
from tsu_emu.chip.windows import WindowPort
from tsu_emu.config import ChipConfig
from tsu_emu.digital import words as W
from tsu_emu.digital.regfile import RESET_TRIMS, RESET_WINDOWS
from tsu_emu.digital.validate import check


@dataclass
class Result:
    """What a list of operations did; see `tsu_contract.wire.Reply`."""

    executed: int
    t_start: int
    t_end: int
    values: NDArray[np.uint32]
    data: list[Frame] = field(default_factory=list)
    failure: Failure | None = None


class Chip:
    """One emulated chip at power-on.

    config : what the chip is; firmware : its behavioural boot firmware, or None for a chip that powers up READY, or has a core
    that executes an image (ConfigError if that cannot be loaded); threads : of the array's kernels, without effect on any result
    map : its registers; windows : its memory windows; core : the firmware core, if there is one
    probe : called whenever the core is about to go on at NOW; True lets it execute one instruction, or enter an interrupt, False
        as many as it may; the cycles at which they begin are the same
    """

    def __init__(self, config: ChipConfig, firmware: Firmware | None = None, threads: int = 1) -> None:
        self.config, self._firmware, self.map = config, firmware, config.map.registers()
        if firmware is not None and config.cpu.image:
            raise ValueError("a chip whose core executes an image has no behavioural firmware beside it")
        parts = assemble(config, firmware is not None or bool(config.cpu.image), threads)
        self.capabilities, self.state, self._plant = parts.capabilities, parts.state, parts.plant
        self.parameters, self.surroundings, self.converters = parts.parameters, parts.surroundings, parts.converters
        self.array = parts.array
        self._motion = Motion(parts.plant, parts.state, parts.parameters, parts.array, parts.converters, self._step_firmware)
        self.windows = WindowPort(parts.plant, parts.state, parts.parameters)
        plant = parts.plant
        self._bus_side = (parts.state.core, plant.rules, plant.windows, plant.timing)
        if firmware is not None:
            parts.state.events[S.EVENT_FIRMWARE] = 0
            parts.state.registers[W.CPU_STATUS] = W.CPU_PRESENT * config.cpu.served
        self.core = make_core(config, plant, parts.state, self.windows.memory)
        self.probe: Callable[[], bool] | None = None
        parts.parameters.slowly.pause = self._pause

    @property
    def plant(self) -> Plant:
        """What the chip's life does not change, and the fields of clocked p-bits."""
        return self._plant

    @property
    def between_calls(self) -> Callable[[], None]:
        """Called every now and then in the midst of a long run; what it raises ends the run, and the chip with it."""
        return self._motion.between_calls

    @between_calls.setter
    def between_calls(self, call: Callable[[], None]) -> None:
        self._motion.between_calls = call

    def _pause(self) -> None:
        """In the midst of what an event does, where no debugger may stop the chip."""
        if self.probe is None:
            self.between_calls()

    def observe(self, observer: Callable[[], None] | None) -> None:
        """From now on chip time goes from event to event, and `observer` is called after those of each cycle; it may look at the
        chip, and changes nothing. The firmware core goes on until a register changes that `core_follow` shows, and notes what it
        does. None: nobody watches."""
        self._motion.observer = observer
        if self.core is not None:
            self.core.follow(observer is not None)

    def execute(self, records: NDArray[Any], payloads: Sequence[Frame] = ()) -> Result:
        """Carry out a list of operations: all are validated before any is executed (ProtocolError if one may not be).

        records : (n,) of `operations.RECORD`; payloads : one for each BLKWR in order. A WAIT or a bus access that fails ends
            the list.
        """
        asked = records.view(np.uint8).copy().view(records.dtype)  # as bytes: field by field it takes five times as long
        records = self.map.inward(asked)
        begin = self.link_time
        values, cycles = np.zeros(len(records), np.uint32), np.empty(len(records), np.int64)
        result = Result(0, begin, begin, values)
        waiting = iter(payloads)
        k, reason, until, effects = 0, link.UNCHECKED, begin, 0
        if not payloads:
            k, reason, until, effects = link.begin(*self._bus_side, records, values, cycles)
        while True:
            if reason == link.UNCHECKED:
                check(records, payloads, self._plant.rules, self._plant.windows, self.capabilities, begin, self.map, asked)
            elif reason == link.AT_WINDOW:
                run = slice(k - effects, k + 1)
                self._move(records[run], values[run], cycles[run], waiting, result)
                k += 1
            elif reason == link.AT_EFFECT:
                self._follow(effects)
                k += 1
            elif reason == link.EVENTS_DUE:
                self._motion.advance(until)
            elif reason == link.AT_SENSOR:
                self._sense(until)
            elif reason == link.AT_WAIT:
                if not self._wait(records[k], until, values, k):
                    return self._failed(Code.WAIT_TIMEOUT, records[k], int(asked["addr"][k]), k, result)
                k += 1
            elif reason in (link.AT_BUS_ERROR, link.AT_FULL):
                return self._failed(Code.BUS_ERROR, records[k], int(asked["addr"][k]), k, result, reason == link.AT_FULL)
            else:
                result.executed, result.t_end = len(records), self.link_time
                return result
            k, reason, until, effects = link.execute(*self._bus_side, records, values, cycles, k)

    def _wait(self, record: Any, first_look: int, values: NDArray[np.uint32], k: int) -> bool:
        """WAIT: False if its condition did not come to hold in time."""
        self._motion.advance(first_look)
        word, mask, wanted = int(self.map.access.decode[int(record["addr"]) >> 2]), int(record["mask"]), int(record["value"])
        met = self._motion.advance(first_look + int(record["arg"]), word, mask, wanted)
        values[k] = link.finish_wait(self.state.core, self._plant.rules, self._plant.timing, word)
        return met

    def _sense(self, cycle: int) -> None:
        """TEMP.SENSOR is about to be read at a cycle."""
        self.state.registers[W.SENSOR] = self.surroundings.sensor_code(cycle)
        self.state.time[S.SENSED_AT] = cycle

    def _move(
        self, records: NDArray[Any], values: NDArray[np.uint32], cycles: NDArray[np.int64], waiting: Any, result: Result
    ) -> None:
        """The data of a window operation that acts now, or of several READ or WRITE of words one after the other."""
        address = int(records["addr"][0])
        match int(records["op"][0]):
            case Op.READ:
                values[:] = np.frombuffer(self.windows.read(address, len(records)), np.uint32)
            case Op.WRITE:
                self.windows.write(address, records["value"].tobytes(), cycles)
            case Op.BLKRD:
                result.data.append(self.windows.read(address, int(records["arg"][0])))
            case _:
                self.windows.write(address, next(waiting))

    def _follow(self, effects: int) -> None:
        """What a write of a register asked for beyond the digital side."""
        self._motion.correlator(effects)
        if effects & RESET_WINDOWS:
            self.windows.reset(bool(effects & RESET_TRIMS))

    def _failed(self, code: Code, record: Any, address: int, k: int, result: Result, full: bool = False) -> Result:
        """The list ended at operation k, which failed on the chip; address : on the bus; full : as its write queue was."""
        table, name, message = self.map.access, None, f"the access of {address:#010x} failed on the bus"
        if full:
            depth = self.config.policy.write_queue
            message = f"the write of {address:#010x} failed: the queue of {depth} posted writes was full"
        if code is Code.WAIT_TIMEOUT:
            name = table.names[table.register[table.decode[int(record["addr"]) >> 2]]]
            seen, mask, wanted = int(result.values[k]), int(record["mask"]), int(record["value"])
            message = f"WAIT on {name}: {seen & mask:#x} after {int(record['arg'])} cycles, {wanted & mask:#x} wanted"
        result.failure = Failure(code, message, k, address, name)
        result.executed, result.t_end = k, self.link_time
        result.values = result.values[:k]
        self._motion.advance(result.t_end)
        return result

    def _step_firmware(self, until: int, watch: NDArray[np.int64]) -> None:
        """The firmware's event: behavioural firmware acts now, and wakes no earlier than its accesses took."""
        bus = self.firmware_bus()
        if self.core is not None:
            if self.probe is not None and self.core.due and self.probe():
                until = int(self.state.time[S.NOW])
            self.core.step(until, watch, bus, self._follow)
            self.between_calls()
            return
        assert self._firmware is not None
        state = self.state
        state.events[S.EVENT_FIRMWARE] = S.NEVER
        if state.registers[W.CPU_CTRL] & W.CPU_HOLD:
            state.core["firmware"][0] = 0
            return
        delay = self._firmware.step(state.core["firmware"][0], bus)
        if delay is not None:
            state.events[S.EVENT_FIRMWARE] = bus.now + max(delay, bus.cost, 1)
        if self.config.cpu.served:
            asleep = W.CPU_ASLEEP * (delay is None or delay > bus.cost)
            state.registers[W.CPU_STATUS] = int(state.registers[W.CPU_STATUS]) & ~W.CPU_ASLEEP | asleep

    def firmware_bus(self) -> FirmwareBus:
        """A port of the firmware's side: accesses act at NOW, and who makes them answers for their cost."""
        return FirmwareBus(self._plant, self.state, self.windows, self._follow, self._sense)

    @property
    def link_time(self) -> int:
        """The host link's clock, cycles."""
        return int(self.state.time[S.LINK])

    def interrupts_so_far(self) -> int:
        """Events logged up to the link's clock since power-on."""
        log, newest = self.state.core["irq_log"][0], int(self.state.time[S.IRQ_NUMBER])
        while newest > 0 and log[(newest - 1) % S.IRQ_ROWS, 1] > self.link_time:
            newest -= 1
        return newest

    def interrupts(self, since: int) -> tuple[tuple[Interrupt, ...], int]:
        """Events of the log from number `since` on up to the link's clock, and how many the log no longer holds."""
        if self.state.time[S.IRQ_NUMBER] == since:
            return (), 0
        log, newest = self.state.core["irq_log"][0], self.interrupts_so_far()
        oldest = max(since, newest - S.IRQ_LOG)
        return tuple(Interrupt(*log[n % S.IRQ_ROWS].tolist()) for n in range(oldest, newest)), oldest - since

    def faults_changed(self) -> None:
        """CORE.faults are others: stuck cells and stuck bits follow."""
        faults, plant = self.state.core["faults"][0], self._plant
        self.state.core["faulty"][0] = bool((faults[:, 0] == S.BUS_ERROR).any())
        dead = dead_cells_of(self.config, plant.topology)
        for _, cell, where, _ in faults[faults[:, 0] == S.STUCK_CELL]:
            dead[cell] = where + 1
        plant.dead_mask[:], plant.dead_value[:], plant.floating[:] = masks_of(dead)
        self.parameters.set_faults()
        self.parameters.remade()
        place_soft(plant.soft, self.state.soft, plant.die.alpha, plant.floating, plant.soft_step, plant.die.scale)

    def restore(self, saved: dict[str, NDArray[Any]]) -> None:
        """Take a state that `state.save` gave of a chip of the same configuration and seeds; what hangs on it follows.

        ValueError: the arrays do not fit, or firmware was at work in that chip and this one has none.
        """
        due = saved["core"]["events"][0, S.EVENT_FIRMWARE] != S.NEVER if "core" in saved else False
        if due and self._firmware is None and self.core is None:
            raise ValueError("the saved chip's firmware was at work; this chip has none")
        S.restore(self.state, saved)
        self.faults_changed()
