"""A model of a chip and its daemon, just good enough to test the driver: registers, windows, an instant sequencer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driver.fake_sequencer import FakeSequencer, written
from tsu_contract.bits import unpack_spins
from tsu_contract.capabilities import Capabilities
from tsu_contract.errors import Code, Failure, ProtocolError, fail
from tsu_contract.operations import Op
from tsu_contract.registers import MAP_HASH, MAP_HASH_WORD, REGISTERS, WINDOW_AT, WINDOW_STRIDE, WINDOWS, value_of
from tsu_contract.wire import (
    Frame,
    Interrupt,
    Kind,
    Reply,
    Request,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
)
from tsu_driver.errors import LinkTimeout
from tsu_driver.topology import Topology

SIDE = 3
LSB = 1 << 22
"""Couplings and temperature in steps of 1/64."""

CAPABILITIES = Capabilities(
    cell_kind=1,
    cells=SIDE * SIDE,
    couplers=24,
    pairs=12,
    planes=3,
    colours=2,
    clock_hz=1_000_000,
    coupling_bits=8,
    coupling_lsb=LSB,
    bias_bits=6,
    bias_lsb=LSB,
    temp_bits=10,
    temp_lsb=LSB,
    program_words=16,
    loop_depth=2,
    corr_fraction=16,
    sweep_cycles=4,
    colour_cycles=8,
    slot_cycles=1,
    corr_cycles=2,
    instruction_cycles=2,
    strobe_cycles=5,
    settle_cycles=100,
    states=2,
    terms=1,
    adc_count=0,
    adc_bits=0,
    adc_cycles=0,
    adc_acquire_cycles=0,
    adc_buffer=0,
    adc_trim_offset=0,
    adc_trim_gain=0,
    range_cell=0,
    range_coupling=0,
    range_bias=0,
    range_temp=0,
    learn_bits=12,
    learn_cycles=8,
    swap_cycles=3,
    hostmem_words=40,
    table_entries=8,
    trim_bits=8,
    trim_offset_lsb=2097152,
    trim_slope_lsb=524288,
    nvm_words=64,
    serial_low=0x89ABCDEF,
    serial_high=0x01234567,
)
FREE_TIME = 10
"""Cycles of any operation."""
BOOTED = 3
"""LEARN.VERSION when the boot firmware is done."""


def neighbours() -> list[list[int]]:
    """A square lattice without wrap-around."""
    steps = ((-1, 0), (0, -1), (0, 1), (1, 0))
    inside = range(SIDE)
    return [
        [(y + dy) * SIDE + x + dx for dy, dx in steps if y + dy in inside and x + dx in inside] for y in inside for x in inside
    ]


class FakeChip:
    """Registers by address and windows by name; spins follow from the sweep number."""

    def __init__(self, capabilities: Capabilities = CAPABILITIES, boot: str = "READY") -> None:
        self.capabilities = capabilities
        self.time = 0
        self.sweeps = 0
        self.halts_after: int | None = None
        self.events: list[Interrupt] = []
        self.log: list[tuple[Op, str]] = []
        self.words: dict[int, int] = {}
        for reg in REGISTERS.values():
            for k in range(reg.count):
                self.words[reg.at(k)] = reg.reset & 0xFFFFFFFF
                if reg.words == 2:
                    self.words[reg.at(k) + 4] = 0
        for field, name in zip(fields(capabilities), Capabilities.names(), strict=True):
            self[name] = getattr(capabilities, field.name)
        self["SYS.MAP_HASH"] = MAP_HASH_WORD
        self["SYS.BOOT"] = value_of("SYS.BOOT.STAGE", boot) | (7 << 8 if boot == "FAILED" else 0)
        self["FABRIC.PLANE_ENABLE"] = (1 << capabilities.planes) - 1
        self.windows = {n: np.zeros(capabilities.shape(w), w.dtype) for n, w in WINDOWS.items()}
        near = neighbours()
        self.windows["TOPO_ROW"][:] = np.cumsum([0, *map(len, near)])
        self.windows["TOPO_SOURCE"][:] = np.concatenate(near)
        self.windows["TOPO_COLOUR"][:] = [(i // SIDE + i) % 2 for i in range(capabilities.cells)]
        self.windows["TOPO_POSITION"][:] = [(i % SIDE, i // SIDE) for i in range(capabilities.cells)]
        self.windows["PLANE_TEMP"][:] = 4096
        self.windows["LADDER"][:] = np.arange(capabilities.dimension("spin_planes"))
        self.pair_of = Topology(*(self.windows[f"TOPO_{n}"] for n in ("ROW", "SOURCE", "COLOUR", "POSITION"))).pair_of
        self["LEARN.VERSION"] = BOOTED
        self.sequencer = FakeSequencer(self)

    def __getitem__(self, name: str) -> int:
        return self.words[REGISTERS[name].address]

    def __setitem__(self, name: str, value: int) -> None:
        self.words[REGISTERS[name].address] = value

    def spins(self) -> NDArray[np.int8]:
        """(planes, cells) spins: a pattern of the sweep number, clamps applied."""
        c = self.capabilities
        free = (np.arange(c.planes)[:, None] + np.arange(c.cells) + self.sweeps) % 3 == 0
        mask, value = (unpack_spins(self.windows[f"CLAMP_{w}"], c.cells) > 0 for w in ("MASK", "VALUE"))
        return np.where(np.where(mask, value, free), 1, -1).astype(np.int8)

    def operate(self, request: Request) -> Reply:
        """Carry out a request."""
        t_start, values, data = self.time, [], []
        payloads = list(request.payloads)
        failure = None
        try:
            for index, row in enumerate(request.records.tolist()):
                self.check(index, row)
            for index, row in enumerate(request.records.tolist()):
                values.append(self.act(index, row, payloads, data))
        except ProtocolError as error:
            failure = error.failure
        events, self.events = tuple(self.events), []
        values = np.array(values, np.uint32)
        return Reply(
            Kind.OPERATE,
            request.session,
            request.seq,
            failure,
            len(values),
            t_start,
            self.time,
            events,
            0,
            values=values,
            data=tuple(data),
        )

    def check(self, index: int, row: tuple[Any, ...]) -> None:
        op, _, _, address, *_ = row
        mapped = address in self.words or address // WINDOW_STRIDE in WINDOW_AT
        if op < Op.DELAY and not mapped:
            raise fail(Code.UNMAPPED, "nothing there", index, address)
        if op == Op.WRITE and address == REGISTERS["SYS.CYCLE"].address:
            raise fail(Code.READ_ONLY, "SYS.CYCLE cannot be written", index, address, "COUNT")

    def act(self, index: int, row: tuple[Any, ...], payloads: list[Frame], data: list[bytes]) -> int:
        op, _, _, address, value, mask, arg = row
        window = WINDOW_AT.get(address // WINDOW_STRIDE)
        self.log.append((Op(op), window.name if window else self.name(address)))
        self.time += FREE_TIME
        if self.sequencer.running and self.halts_after is None:
            self.sequencer.more()
        if op == Op.READ:
            return self.read(address)
        if op in (Op.WRITE, Op.RMW):
            before = self.words[address]
            self.write(address, value if op == Op.WRITE else before & ~mask | value)
            return before if op == Op.RMW else 0
        if op == Op.WAIT:
            return self.wait(index, address, value, mask, arg)
        if op == Op.DELAY:
            self.time += arg
        if op == Op.DELAY_UNTIL:
            self.time = max(self.time, arg)
        if window is not None:
            raw = self.windows[window.name].reshape(-1).view(np.uint8)
            start, end = address - window.address, address - window.address + 4 * arg
            if op == Op.BLKRD:
                data.append(raw[start:end].tobytes().ljust(4 * arg, b"\0"))
            else:
                piece = np.frombuffer(payloads.pop(0), np.uint8)
                assert len(piece) == 4 * arg
                raw[start:end] = piece[: len(raw[start:end])]
                self["LEARN.VERSION"] += window.name in ("COUPLING", "BIAS")
        return 0

    @staticmethod
    def name(address: int) -> str:
        ends = {n: (r.address, r.address + 4 * r.words * r.count) for n, r in REGISTERS.items()}
        return next((n for n, (low, high) in ends.items() if low <= address < high), "")

    def read(self, address: int) -> int:
        cycle = REGISTERS["SYS.CYCLE"].address
        if address == cycle:
            self.words[cycle + 4] = self.time >> 32
            return self.time & 0xFFFFFFFF
        return self.words[address]

    def write(self, address: int, value: int) -> None:
        name = self.name(address)
        if name == "SEQ.CTRL":
            self.sequencer.control(value)
            return
        if name == "SEQ.PC":
            self.sequencer.loops.clear()
        if name == "CORR.CTRL":
            if value & 4:
                self.sequencer.latch()
            if value & 2:
                self["CORR.COUNT"] = 0
        self.words[address] = written(self, name, value)

    def count(self, name: str, more: int) -> None:
        """A 64-bit counter goes up."""
        low = REGISTERS[name].address
        total = (self.words[low] | self.words[low + 4] << 32) + more
        self.words[low], self.words[low + 4] = total & 0xFFFFFFFF, total >> 32

    def wait(self, index: int, address: int, value: int, mask: int, arg: int) -> int:
        status = REGISTERS["SEQ.STATUS"].address
        if address == status and self.halts_after is not None:
            if arg < self.halts_after:
                self.halts_after -= arg
            else:
                self.time, self.halts_after = self.time + self.halts_after, None
                self.words[status] = value_of("SEQ.STATUS.STATE", "HALTED")
        for _ in range(100):
            if self.words[address] & mask != value and self.sequencer.running and self.halts_after is None:
                self.sequencer.more()
        if self.words[address] & mask != value:
            self.time += arg
            raise fail(Code.WAIT_TIMEOUT, "it never came true", index, address)
        return self.words[address]


class FakeDaemon:
    """One session with a fake chip: numbers, cached replies, HELLO, BYE."""

    def __init__(self, chip: FakeChip | None = None, map_hash: str = MAP_HASH, limits: dict[str, int] | None = None):
        self.chip = chip or FakeChip()
        self.map_hash = map_hash
        self.limits = {"operations": 65536, "header_bytes": 4096, "payload_bytes": 1 << 20, "cached_replies": 4}
        self.limits |= limits or {}
        self.cached: dict[int, list[Frame]] = {}
        self.carried_out: list[int] = []
        self.said_bye = False

    def answer(self, frames: Sequence[Frame]) -> list[Frame]:
        """Frames of the reply to a request's frames."""
        request = decode_request(frames)
        if request.kind is Kind.HELLO:
            body = {"session": 42, "boot": "b0", "epoch": 1, "map_hash": self.map_hash, "name": "fake", "chips": 1}
            return encode_reply(Reply(Kind.HELLO, 42, 0, t_end=self.chip.time, body=body | {"limits": self.limits}))
        assert request.session == 42
        if request.kind is Kind.BYE:
            self.said_bye = True
            return encode_reply(Reply(Kind.BYE, 42, request.seq))
        if request.seq not in self.cached:
            expected = len(self.carried_out) + 1
            if request.seq != expected:
                failure = Failure(Code.BAD_SEQUENCE, f"number {request.seq}; {expected} expected")
                return encode_reply(Reply(Kind.OPERATE, 42, request.seq, failure))
            self.carried_out.append(request.seq)
            self.cached[request.seq] = encode_reply(self.chip.operate(request))
        return self.cached[request.seq]


class FakeLink:
    """A link to a fake daemon in this process; `drop` replies are lost, `lose` requests never arrive."""

    def __init__(self, daemon: FakeDaemon | None = None) -> None:
        self.daemon = daemon or FakeDaemon()
        self.requests: list[Request] = []
        self.drop = 0
        self.lose = 0
        self.closed = False

    @property
    def chip(self) -> FakeChip:
        return self.daemon.chip

    def call(self, request: Request, timeout_s: float) -> Reply:
        self.requests.append(request)
        if self.lose:
            self.lose -= 1
            raise LinkTimeout("lost request")
        frames = self.daemon.answer([bytes(f) for f in encode_request(request)])
        if self.drop:
            self.drop -= 1
            raise LinkTimeout("lost reply")
        return decode_reply([bytes(f) for f in frames])

    def close(self) -> None:
        self.closed = True
