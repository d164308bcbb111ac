"""A chip with its bench in process: doors by their frames, the chip by its pins."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving import Pins, Row, config
from tsu_contract.bench import Reply, Request, decode_reply, encode_request
from tsu_contract.errors import Failure
from tsu_contract.operations import Op
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import WINDOWS, register, value_of
from tsu_contract.wire import Reply as ChipReply
from tsu_emu.bench.door import Door
from tsu_emu.bench.instruments import Instruments
from tsu_emu.bench.oracle import Oracle
from tsu_emu.chip import Chip
from tsu_emu.config import ChipConfig
from tsu_emu.state import digest

CHAIN = {"kind": "edges", "cells": 4, "pairs": [[0, 1], [1, 2], [2, 3]]}
ADC_BITS = 12


def chain(**more: Any) -> ChipConfig:
    """Four p-bits in a row, eight planes, two ideal converters."""
    return config(CHAIN, 8, **{"adc": {"count": 2, "bits": ADC_BITS}, **more})


def at(name: str) -> int:
    """Address of a register or a window."""
    return WINDOWS[name].address if name in WINDOWS else register(name).at()


def read(name: str) -> Row:
    return (Op.READ, at(name), 0, 0, 0)


def write(name: str, value: int) -> Row:
    return (Op.WRITE, at(name), value, 0, 0)


def delay(cycles: int) -> Row:
    return (Op.DELAY, 0, 0, 0, cycles)


class Bench:
    """A chip, its pins, and both doors."""

    def __init__(self, chip_config: ChipConfig) -> None:
        self.chip = Chip(chip_config)
        self.pins, self._doors = Pins(self.chip), {"lab": Instruments(self.chip), "oracle": Oracle(self.chip)}

    def _ask(self, door: Door, verb: str, body: dict[str, Any]) -> Reply:
        return decode_reply(door.handle(encode_request(Request(verb, 7, body))))

    def refused(self, door: str, verb: str, **body: Any) -> Failure:
        """Why a request is refused; that it changes nothing is seen to."""
        before = digest(self.chip.state)
        reply = self._ask(self._doors[door], verb, body)
        assert reply.failure is not None
        assert digest(self.chip.state) == before
        return reply.failure

    def lab(self, verb: str, **body: float) -> dict[str, Any]:
        """What the instruments answer."""
        reply = self._ask(self._doors["lab"], verb, body)
        assert reply.failure is None, reply.failure
        return reply.body

    def oracle(self, verb: str, **body: Any) -> Reply:
        """What the oracle answers."""
        reply = self._ask(self._doors["oracle"], verb, body)
        assert reply.failure is None, reply.failure
        return reply

    def truth(self, name: str, **element: int) -> NDArray[Any]:
        return self.oracle("truth", name=name, **element).arrays[name]

    # The chip through its pins

    def operate(self, *rows: Row, payloads: tuple[bytes, ...] = ()) -> ChipReply:
        reply = self.pins.operate(rows, *payloads)
        assert reply.failure is None, reply.failure
        return reply

    def value(self, name: str) -> int:
        return int(self.operate(read(name)).values[0])

    def store(self, window: str, values: Any) -> None:
        """Elements of a window from its first on; a payload of half a word is filled with 0."""
        data = np.array(values, WINDOWS[window].dtype).tobytes()
        data += bytes(-len(data) % 4)
        self.operate((Op.BLKWR, at(window), 0, 0, len(data) // 4), payloads=(data,))

    def load(self, window: str, count: int) -> NDArray[Any]:
        dtype = WINDOWS[window].dtype
        words = (count * dtype.itemsize + 3) // 4
        return np.frombuffer(self.operate((Op.BLKRD, at(window), 0, 0, words)).data[0], dtype)[:count]

    def start(self, *program: Instruction) -> None:
        words = assemble([*program, Instruction(Opcode.HALT)]).tobytes()
        row = (Op.BLKWR, at("PROGRAM"), 0, 0, len(words) // 4)
        self.operate(row, write("SEQ.PC", 0), write("SEQ.CTRL", 1), payloads=(words,))

    def run(self, *program: Instruction) -> None:
        """A program to its end."""
        self.start(*program)
        self.operate((Op.WAIT, at("SEQ.STATUS"), value_of("SEQ.STATUS.STATE", "HALTED"), 0xFF, 1 << 40))

    def sweeps(self, count: int) -> None:
        self.run(Instruction(Opcode.RUN, count), Instruction(Opcode.STROBE))

    def spins(self) -> NDArray[np.int8]:
        """(planes, cells) of +-1 as last strobed."""
        planes, cells = self.chip.capabilities.planes, self.chip.capabilities.cells
        words = self.load("SPIN", planes * ((cells + 31) // 32)).view(np.uint32).reshape(planes, -1)
        bits = words[:, :, None] >> np.arange(32, dtype=np.uint32) & 1
        return (2 * bits.reshape(planes, -1)[:, :cells].astype(np.int8) - 1).astype(np.int8)

    def capture(self, source: str, count: int = 16, element: int = 0, converter: int = 0) -> NDArray[np.uint16]:
        """(count,) codes of what the multiplexer selects."""
        mux = value_of("ADC.MUX.SOURCE", source) | converter << register("ADC.MUX").fields["CONVERTER"].low
        self.operate(write("ADC.MUX", mux), write("ADC.ELEMENT", element))
        self.run(Instruction(Opcode.ADC_CAPTURE, count))
        return self.load("ADC_DATA", count).astype(np.uint16)

    @property
    def digest(self) -> str:
        return digest(self.chip.state)


def level(code: Any) -> Any:
    """Middle of a code's step of an ideal converter, in units of its range."""
    return (np.asarray(code) + 0.5) * 2.0 ** (1 - ADC_BITS) - 1.0
