"""The oracle door: faults, ground truth and the state's digest. Only an emulator has it; tests and tools ask it, no app does."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from tsu_contract.bench import FAULTS, POSITIONS, Arguments
from tsu_contract.errors import Code, ProtocolError, fail
from tsu_contract.registers import REGISTER_SPACE, WINDOW_STRIDE, register
from tsu_emu import state as S
from tsu_emu.bench.door import Answer, Door, Verb
from tsu_emu.bench.truth import Truth
from tsu_emu.chip import Chip

COUNT_MAX = (1 << 31) - 1
FAULT_KEYS = ("kind", *dict.fromkeys(key for keys in FAULTS.values() for key in keys))
STATUS = ("SYS.BOOT", "SEQ.STATUS", "SEQ.SWEEPS_LEFT", "FABRIC.STATUS", "CORR.COUNT", "ADC.CLIPPED")
"""Registers that hardware alone writes and that are kept, unlike capabilities, counters and the sensor."""


class Oracle(Door):
    """The oracle of one chip."""

    def __init__(self, chip: Chip) -> None:
        verbs = {
            "identify": Verb(self._identify),
            "inject": Verb(self._inject, FAULT_KEYS, changes=True),
            "list": Verb(lambda _: self._list()),
            "clear": Verb(self._clear, ("fault",), changes=True),
            "upset": Verb(self._upset, ("address", "bits"), changes=True),
            "truth": Verb(self._tell, ("name", "element")),
            "digest": Verb(lambda _: Answer({"digest": S.digest(chip.state)})),
        }
        super().__init__(chip, verbs)
        self._truth, self._faults = Truth(chip), chip.state.core["faults"][0]

    def _identify(self, _: Arguments) -> Answer:
        kinds = {kind: list(keys) for kind, keys in FAULTS.items()}
        return Answer({"door": "oracle", "name": self._chip.config.name, "faults": kinds, "truths": list(self._truth.names)})

    # Faults

    def _row(self, given: Arguments) -> tuple[int, int, int, int]:
        """A row of CORE.faults."""
        chip, kind = self._chip, given.word("kind", list(FAULTS))
        given.only(("kind", *FAULTS[kind]))
        match kind:
            case "stuck-cell":
                cell = given.integer("cell", 0, chip.capabilities.cells - 1)
                return S.STUCK_CELL, cell, POSITIONS.index(given.word("at", POSITIONS)), 0
            case "stuck-coupling-bit" | "stuck-bias-bit":
                bank, key = (0, "coupler") if kind == "stuck-coupling-bit" else (1, "term")
                bits = (chip.config.coupling.dac.bits, chip.config.bias.dac.bits)[bank]
                element, bit = given.integer(key, 0, chip.parameters.elements(bank) - 1), given.integer("bit", 0, bits - 1)
                return (S.STUCK_COUPLING_BIT, S.STUCK_BIAS_BIT)[bank], element, bit, given.integer("at", 0, 1)
            case "dead-adc":
                return S.DEAD_ADC, given.integer("converter", 0, chip.config.adc.count - 1), 0, 0
            case "bus-error":
                address = self._mapped(self._address(given))
                return S.BUS_ERROR, address, given.integer("accesses", 1, COUNT_MAX), 0
            case _:
                events = given.integer("events", 1, register("IRQ.ENABLE").mask("rw"))
                return S.DROPPED_IRQ, events, given.integer("count", 1, COUNT_MAX), 0

    def _address(self, given: Arguments) -> int:
        """An address on the bus, or that of a register by its name."""
        registers = self._chip.map.registers
        with suppress(ProtocolError):
            return registers[given.word("address", tuple(registers))].at()
        return given.integer("address", 0, 0xFFFFFFFF)

    def _mapped(self, given: int) -> int:
        """The contract's address of a register or a populated word of a window; given : on the bus."""
        address = self._chip.map.places.inward_one(given)
        if address < REGISTER_SPACE:
            mapped = self._chip.map.access.decode[address >> 2] >= 0
        else:
            mapped = (address % WINDOW_STRIDE) // 4 < self._chip.plant.windows["words"][0, address // WINDOW_STRIDE]
        if address % 4 or not mapped:
            raise fail(Code.UNMAPPED, f"address = {given:#010x}; no word of this chip is there", None, given, "address")
        return address

    def _inject(self, given: Arguments) -> Answer:
        row, free = self._row(given), np.flatnonzero(self._faults[:, 0] == S.NO_FAULT)
        if not free.size:
            raise fail(Code.OUT_OF_RANGE, f"the chip has {S.FAULTS} faults, and can have no more at once; clear some")
        self._faults[free[0]] = row
        self._chip.faults_changed()
        return Answer({"fault": int(free[0])})

    def _list(self) -> Answer:
        at = np.flatnonzero(self._faults[:, 0] != S.NO_FAULT)
        rows = self._faults[at]
        for k in np.flatnonzero(rows[:, 0] == S.BUS_ERROR):
            rows[k, 1] = self._chip.map.places.outward_one(int(rows[k, 1]))
        return Answer({}, {"faults": np.column_stack((at, rows))})

    def _clear(self, given: Arguments) -> Answer:
        """One fault, or all."""
        if given.given("fault"):
            number = given.integer("fault", 0, S.FAULTS - 1)
            if self._faults[number, 0] == S.NO_FAULT:
                raise fail(Code.OUT_OF_RANGE, f"fault = {number}; there is no such fault now", field="fault")
            self._faults[number] = 0
        else:
            self._faults[:] = 0
        self._chip.faults_changed()
        return self._list()

    def _upset(self, given: Arguments) -> Answer:
        """Bits of a register's flip-flops turn over now; unlike a write it has no effect of its own."""
        address = self._address(given)
        at, bits = self._mapped(address), given.integer("bits", 1, 0xFFFFFFFF)
        if at >= REGISTER_SPACE:
            raise fail(Code.UNMAPPED, f"address = {address:#010x}; a register of this chip expected", None, address, "address")
        word = int(self._chip.map.access.decode[at >> 2])
        name, stored = self._chip.map.access.names[self._chip.map.access.register[word]], self._flip_flops(word)
        if bits & ~stored:
            raise fail(Code.RESERVED_BITS, f"bits = {bits:#x}; {name} has flip-flops for {stored:#x}", None, address, "bits")
        value = int(self._chip.state.registers[word]) ^ bits
        ranges = self._chip.plant.rules["ranges"][0]
        for _, low, mask, least, most in ranges[ranges[:, 0] == word].tolist():
            if not least <= (value & mask) >> low <= most:
                message = f"bits = {bits:#x}: {name} would be {value:#x}, which is undefined; a field of it has {least} to {most}"
                raise fail(Code.OUT_OF_RANGE, message, None, address, "bits")
        self._chip.state.registers[word] = value
        return Answer({"value": value})

    def _flip_flops(self, word: int) -> int:
        """Bits that a register word stores: what can be written, or what the hardware notes there."""
        rule = self._chip.plant.rules["words"][0, word]
        name = self._chip.map.access.names[self._chip.map.access.register[word]]
        return int(rule["read"] if name in STATUS else (rule["write"] | rule["w1c"]) & rule["read"])

    # Truth

    def _tell(self, given: Arguments) -> Answer:
        name = given.word("name", self._truth.names)
        return Answer({}, {name: self._truth.of(name, given)})
