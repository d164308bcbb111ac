"""A chip: built from a configuration, driven by validated lists of operations, with its boot firmware inside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tsu_contract.capabilities import LSB_SCALE, Capabilities
from tsu_contract.errors import Code, Failure
from tsu_contract.operations import Op
from tsu_contract.registers import REGISTER_SPACE, WINDOW_STRIDE, WINDOWS, access_table, register
from tsu_contract.wire import Frame, Interrupt
from tsu_emu import state as S
from tsu_emu.analog.dac import lsb_of
from tsu_emu.analog.die import make_die, place_biases, place_couplings
from tsu_emu.analog.pbit import power_on_spins
from tsu_emu.chip import machine
from tsu_emu.chip.windows import WindowPort
from tsu_emu.config import ChipConfig, ConfigError
from tsu_emu.digital.correlator import FRACTION_BITS
from tsu_emu.digital.regfile import (
    CLEAR_CORRELATIONS,
    LATCH_CORRELATIONS,
    make_rules,
    power_on_registers,
    read_word,
    write_word,
)
from tsu_emu.digital.timing import make_timing
from tsu_emu.digital.validate import check, make_window_rules
from tsu_emu.noise.streams import Stream
from tsu_emu.topology import Topology, build

BUDGET = 10_000_000
"""Work of one compiled call, about 60 ms; between two calls `Chip.between_calls` may stop the chip."""


class Bus(Protocol):
    """What the boot firmware sees: one address space, 32-bit words. Each access costs chip time."""

    def read(self, address: int) -> int: ...
    def write(self, address: int, value: int) -> None: ...


class Firmware(Protocol):
    """Behavioural boot firmware: all its memory is `state`, (16,) int64, zero at power-on."""

    def step(self, state: NDArray[np.int64], bus: Bus) -> int | None:
        """Do what is due; cycles until the next step, or None if there is nothing left to do."""
        ...


@dataclass
class Result:
    """What a list of operations did; see `tsu_contract.wire.Reply`."""

    executed: int
    t_start: int
    t_end: int
    values: NDArray[np.uint32]
    data: list[bytes] = field(default_factory=list)
    failure: Failure | None = None


def capabilities_of(config: ChipConfig, topology: Topology) -> Capabilities:
    """The CAP block of a configuration."""
    timing, coupling, bias, temp = config.timing, config.coupling.dac, config.bias.dac, config.temperature.dac
    fixed = [round(lsb_of(dac, signed) / LSB_SCALE) for dac, signed in ((coupling, True), (bias, True), (temp, False))]
    return Capabilities(
        cell_kind=register("CAP.CELL_KIND").fields["KIND"].values["PBIT_CLOCKED"],
        cells=len(topology.order),
        couplers=len(topology.source),
        pairs=len(topology.pair_i),
        planes=config.fabric.planes,
        colours=len(topology.phase) - 1,
        clock_hz=config.clock.hz,
        coupling_bits=coupling.bits,
        coupling_lsb=fixed[0],
        bias_bits=bias.bits,
        bias_lsb=fixed[1],
        temp_bits=temp.bits,
        temp_lsb=fixed[2],
        program_words=config.sequencer.program_words,
        loop_depth=config.sequencer.loop_depth,
        corr_fraction=FRACTION_BITS,
        sweep_cycles=timing.sweep,
        colour_cycles=timing.colour,
        slot_cycles=timing.slot,
        corr_cycles=timing.correlate,
        instruction_cycles=timing.instruction,
        strobe_cycles=timing.strobe,
        settle_cycles=timing.settle,
    )


def _check_windows(cap: Capabilities) -> None:
    """ConfigError if a window is too small for the chip."""
    for window in WINDOWS.values():
        if 4 * cap.words(window) > window.size:
            shape = " x ".join(str(n) for n in cap.shape(window))
            raise ConfigError(f"fabric: {window.name} would hold {shape} elements, more than its {window.size >> 20} MiB")


def _key(seed: int, stream: Stream) -> NDArray[np.uint32]:
    return np.array([seed & 0xFFFFFFFF, seed >> 32, stream], np.uint32)


class _FirmwareBus:
    """The boot core's port: accesses act at NOW, their cost is summed."""

    def __init__(self, plant: machine.Plant, state: S.ChipState, windows: WindowPort, correlator: Callable[[int], None]) -> None:
        self._plant, self._state, self._windows, self._correlator = plant, state, windows, correlator
        self.cost = 0

    def _word(self, address: int) -> int:
        word = int(access_table().decode[address >> 2]) if address < REGISTER_SPACE else -1
        if address % 4 or word < 0:
            raise AssertionError(f"firmware: nothing at {address:#010x}")
        return word

    def read(self, address: int) -> int:
        timing = self._plant.timing[0]
        self.cost += int(timing["issue"] + timing["access"] + timing["return_"])
        if address >= WINDOW_STRIDE:
            return int.from_bytes(self._windows.read(address, 1), "little")
        return int(read_word(self._state.core[0], self._plant.rules, self._word(address)))

    def write(self, address: int, value: int) -> None:
        timing = self._plant.timing[0]
        self.cost += int(timing["issue"] + timing["access"])
        if address >= WINDOW_STRIDE:
            self._windows.write(address, value.to_bytes(4, "little"))
            return
        word, full = self._word(address), np.uint32(0xFFFFFFFF)
        self._correlator(write_word(self._state.core[0], self._plant.rules, timing, word, np.uint32(value), full, True))


class Chip:
    """One emulated chip at power-on.

    config : what the chip is; firmware : its boot firmware, or None for a chip that powers up READY; threads : of the array's
    kernels, without effect on any result
    between_calls : called every now and then in the midst of a long run; what it raises ends the run, and the chip with it
    """

    def __init__(self, config: ChipConfig, firmware: Firmware | None = None, threads: int = 1) -> None:
        self.config = config
        self.between_calls: Callable[[], None] = lambda: None
        topology = build(config.fabric)
        self.capabilities = cap = capabilities_of(config, topology)
        _check_windows(cap)
        rules = make_rules(cap)
        self._plant = plant = machine.Plant(
            rules=rules,
            windows=make_window_rules(cap),
            timing=make_timing(config.timing),
            topology=topology,
            die=make_die(config, topology),
            doubled=np.zeros(cap.couplers, np.int32),
            bias=np.zeros(cap.cells, np.int32),
            base=np.zeros(cap.cells, np.int32),
            key=_key(config.seeds.run, Stream.FLIP),
            scan_key=_key(config.seeds.run, Stream.SCAN),
            tdac_floor=lsb_of(config.temperature.dac, False) / 2,
            temp_code_max=(1 << cap.temp_bits) - 1,
            loop_depth=cap.loop_depth,
            threads=threads,
        )
        self.state = state = S.blank(cap)
        state.registers[:] = power_on_registers(rules, cap, firmware is not None)
        power_on_spins(state.spins, topology.order, cap.planes, _key(config.seeds.run, Stream.POWER_ON))
        self._place_all_codes()
        self._windows = WindowPort(plant, state)
        self._bus_side = (state.core, plant.rules, plant.windows, plant.timing)
        self._firmware = firmware
        if firmware is not None:
            state.events[S.EVENT_FIRMWARE] = 0

    def _place_all_codes(self) -> None:
        """What hangs on the codes is made anew from them."""
        p, s = self._plant, self.state
        for derived in (p.doubled, p.bias, p.base):
            derived[:] = 0
        place_couplings(p.die, p.topology.row, s.coupling_code, 0, p.doubled, p.base)
        place_biases(p.die, s.bias_code, 0, p.bias, p.base)

    def execute(self, records: NDArray[Any], payloads: Sequence[Frame] = ()) -> Result:
        """Carry out a list of operations: all are validated before any is executed (ProtocolError if one may not be).

        records : (n,) of `operations.RECORD`; payloads : one for each BLKWR in order. A WAIT that fails ends the list there.
        """
        records = records.copy()
        link = self.link_time
        check(records, payloads, self._plant.rules, self._plant.windows, self.capabilities, link)
        values = np.zeros(len(records), np.uint32)
        result = Result(0, link, link, values)
        waiting = iter(payloads)
        k = 0
        while True:
            k, reason, until, effects = machine.execute(*self._bus_side, records, values, k)
            if reason == machine.AT_WINDOW:
                self._move(records[k], values, k, waiting, result)
                k += 1
            elif reason == machine.AT_EFFECT:
                self._correlator(effects)
                k += 1
            elif reason == machine.EVENTS_DUE:
                self._advance(until)
            elif reason == machine.AT_WAIT:
                if not self._wait(records[k], until, values, k):
                    return self._timed_out(records[k], k, result)
                k += 1
            else:
                result.executed, result.t_end = len(records), self.link_time
                return result

    def _advance(self, until: int, word: int = -1, mask: int = 0, wanted: int = 0) -> bool:
        """Chip time goes to `until`, or to the cycle at which a register word is as wanted: True then."""
        while True:
            reason = machine.advance(self._plant, self.state, until, word, np.uint32(mask), np.uint32(wanted), BUDGET)
            if reason == machine.AT_FIRMWARE:
                self._step_firmware()
            elif reason == machine.OUT_OF_BUDGET:
                self.between_calls()
            else:
                return bool(reason == machine.MET)

    def _wait(self, record: Any, first_look: int, values: NDArray[np.uint32], k: int) -> bool:
        """WAIT: False if its condition did not come to hold in time."""
        self._advance(first_look)
        word, mask, wanted = int(access_table().decode[int(record["addr"]) >> 2]), int(record["mask"]), int(record["value"])
        met = self._advance(first_look + int(record["arg"]), word, mask, wanted)
        values[k] = machine.finish_wait(self.state.core, self._plant.rules, self._plant.timing, word)
        return met

    def _correlator(self, effects: int) -> None:
        """What a write of CORR.CTRL asked for; a latch comes before a clear."""
        s = self.state
        if effects & LATCH_CORRELATIONS:
            s.pair_latch[:], s.mean_latch[:] = s.pair_sum, s.mean_sum
        if effects & CLEAR_CORRELATIONS:
            s.pair_sum[:], s.mean_sum[:] = 0, 0

    def _move(self, record: Any, values: NDArray[np.uint32], k: int, waiting: Any, result: Result) -> None:
        """The data of a window operation that acts now."""
        address = int(record["addr"])
        match int(record["op"]):
            case Op.READ:
                values[k] = int.from_bytes(self._windows.read(address, 1), "little")
            case Op.WRITE:
                self._windows.write(address, record["value"].tobytes())
            case Op.BLKRD:
                result.data.append(self._windows.read(address, int(record["arg"])))
            case _:
                self._windows.write(address, next(waiting))

    def _timed_out(self, record: Any, k: int, result: Result) -> Result:
        address = int(record["addr"])
        name = access_table().names[access_table().register[access_table().decode[address >> 2]]]
        seen, mask, wanted = int(result.values[k]), int(record["mask"]), int(record["value"])
        message = f"WAIT on {name}: {seen & mask:#x} after {int(record['arg'])} cycles, {wanted & mask:#x} wanted"
        result.failure = Failure(Code.WAIT_TIMEOUT, message, k, address, name)
        result.executed, result.t_end = k, self.link_time
        result.values = result.values[:k]
        self._advance(result.t_end)
        return result

    def _step_firmware(self) -> None:
        """The boot firmware's event: it acts now, and wakes no earlier than its accesses took."""
        assert self._firmware is not None
        bus = _FirmwareBus(self._plant, self.state, self._windows, self._correlator)
        self.state.events[S.EVENT_FIRMWARE] = S.NEVER
        delay = self._firmware.step(self.state.core["firmware"][0], bus)
        if delay is not None:
            self.state.events[S.EVENT_FIRMWARE] = int(self.state.time[S.NOW]) + max(delay, bus.cost, 1)

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
        log, newest = self.state.core["irq_log"][0], self.interrupts_so_far()
        oldest = max(since, newest - S.IRQ_LOG)
        return tuple(Interrupt(*log[n % S.IRQ_ROWS].tolist()) for n in range(oldest, newest)), oldest - since

    def restore(self, saved: dict[str, NDArray[Any]]) -> None:
        """Take a state that `state.save` gave of a chip of the same configuration and seeds; what hangs on it follows.

        ValueError: the arrays do not fit, or firmware was at work in that chip and this one has none.
        """
        due = saved["core"]["events"][0, S.EVENT_FIRMWARE] != S.NEVER if "core" in saved else False
        if due and self._firmware is None:
            raise ValueError("the saved chip's firmware was at work; this chip has none")
        S.restore(self.state, saved)
        self._place_all_codes()
