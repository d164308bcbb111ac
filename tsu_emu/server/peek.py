"""Looks at a chip: registers and windows as they are now, without chip time and without any effect."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsu_contract.errors import Code, fail
from tsu_contract.operations import Op
from tsu_contract.registers import WINDOW_STRIDE
from tsu_contract.wire import Frame, Request
from tsu_emu import state as S
from tsu_emu.chip import Chip
from tsu_emu.digital import words as W
from tsu_emu.digital.regfile import peek_word
from tsu_emu.digital.validate import check


class Peeker:
    """Answers PEEK of one chip. What a read would latch or measure is shown as it is at this cycle; injected faults of the bus do
    not matter."""

    def __init__(self, chip: Chip) -> None:
        self._chip = chip

    def look(self, request: Request) -> tuple[NDArray[np.uint32], list[Frame]]:
        """(values, data) as OPERATE gives them; ProtocolError if the list has anything in it but READ and BLKRD."""
        chip, records = self._chip, request.records
        for index in np.flatnonzero((records["op"] != Op.READ) & (records["op"] != Op.BLKRD)).tolist():
            op = int(records["op"][index])
            if op in Op._value2member_map_:
                raise fail(Code.FORBIDDEN, f"PEEK reads; {Op(op).name} is for OPERATE", index)
        asked, records = records, chip.map.inward(records)
        check(records, request.payloads, chip.plant.rules, chip.plant.windows, chip.capabilities, chip.link_time, chip.map, asked)
        values, data = np.zeros(len(records), np.uint32), list[Frame]()
        for k, (op, address, words) in enumerate(zip(*(records[c].tolist() for c in ("op", "addr", "arg")), strict=True)):
            if op == Op.BLKRD:
                data.append(bytes(chip.windows.read(address, words)))
            elif address >= WINDOW_STRIDE:
                values[k] = np.frombuffer(chip.windows.read(address, 1), np.uint32)[0]
            else:
                values[k] = self._register(address)
        return values, data

    def _register(self, address: int) -> int:
        chip = self._chip
        word = int(chip.map.access.decode[address >> 2])
        if word == W.SENSOR:
            return chip.surroundings.sensor_code(int(chip.state.time[S.NOW]))
        return int(peek_word(chip.state.core[0], chip.plant.rules[0], word))
