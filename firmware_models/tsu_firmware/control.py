"""Behavioural firmware with the commands of the firmware in C: self-test, then a mailbox; docs/firmware.md.

All memory is the state array and RAM. It does what the C firmware does to registers, windows and mailbox; it takes as long as its
accesses cost, which is less than what instructions cost.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tsu_contract.firmware import Bus, Port
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import MAP_HASH_WORD, WINDOWS, register, value_of
from tsu_firmware import boot
from tsu_firmware.drift import TEMPERATURE_COMMAND, WATCH_COMMAND
from tsu_firmware.machine import COMMAND_WORDS, RAM_WORDS, VARIABLES, Again, Call, End, Goto, Machine, Routine, advance, call
from tsu_firmware.offsets import LOOK, LOOK_COMMAND, MEASURE
from tsu_firmware.sequencer import (
    ANNEAL_COMMAND,
    ARGUMENTS,
    DONE,
    FAULTED,
    RUN,
    SAFE,
    SAFE_COMMAND,
    SELF_TEST_FAILED,
    START,
    UNKNOWN,
    listen,
    running,
    state_of,
    take,
)
from tsu_firmware.servo import SERVO, SERVO_COMMAND

STARTED, BUSY_UNTIL = 0, 1
"""Indices into the state: 1 once RAM holds variables; cycle at which the last step's accesses are over."""
TEST_PROGRAM = assemble([Instruction(Opcode.DELAY, 4096), Instruction(Opcode.HALT)]).view(np.uint32)
TEST_CYCLES = 100_000
ANSWER_LOOK = 512
"""Cycles between two looks whether the host has taken a word."""
TO_CORE, FROM_CORE = (register("MAILBOX.STATUS").fields[f].mask for f in ("TO_CORE", "FROM_CORE"))
HALTED = value_of("SEQ.STATUS.STATE", "HALTED")


def _report(m: Machine, stage: str, detail: int = 0) -> None:
    m.write("SYS.BOOT", value_of("SYS.BOOT.STAGE", stage) | detail << 8)


def _step(test: Callable[[Port], bool]) -> Callable[[Machine], End | None]:
    """A step of the self-test; the first that fails ends it."""

    def run(m: Machine) -> End | None:
        m["test"] += 1
        return None if test(m.bus) else End(SELF_TEST_FAILED)

    return run


def _begin(m: Machine) -> None:
    m["test"] = 0
    _report(m, "SELFTEST")


def _check_identity(m: Machine) -> End | None:
    m["test"] += 1
    return None if boot.check_identity(m.bus, m["map_hash_word"]) else End(SELF_TEST_FAILED)


def _check_program_memory(bus: Port) -> bool:
    held = boot.check_program_memory(bus)
    for k, word in enumerate(TEST_PROGRAM.tolist()):
        bus.write(WINDOWS["PROGRAM"].address + 4 * k, word)
    return held


def _start(m: Machine) -> End | None:
    m["test"] += 1
    listen(m, DONE | FAULTED)
    m.write("SEQ.PC", 0)
    m.write("SEQ.CTRL", START)
    m["deadline"] = m.now + TEST_CYCLES
    return None if running(m) else End(SELF_TEST_FAILED)


def _check_end(m: Machine) -> Again | End | None:
    """The program halted, its interrupt came and can be cleared."""
    came = take(m)
    if not came and m.now < m["deadline"]:
        return Again(m["deadline"] - m.now)
    m["test"] += 1
    listen(m, 0)
    good = came == DONE and state_of(m) == HALTED and not m.read("IRQ.PENDING") & (DONE | FAULTED)
    return None if good else End(SELF_TEST_FAILED)


TEST = Routine(
    (
        _begin,
        _check_identity,
        _step(boot.check_bus),
        _step(_check_program_memory),
        _start,
        _check_end,
        _step(boot.check_dac_codes),
        _step(boot.set_temperature),
    )
)
"""The steps of the self-test, with their numbers."""


def _conclude_boot(m: Machine) -> None:
    _report(m, "FAILED", m["test"]) if m["status"] else _report(m, "READY")


BOOT = Routine((lambda _: Call(TEST, catches=True), _conclude_boot))


def _say_step(m: Machine) -> End:
    failed = register("SYS.BOOT").fields["DETAIL"].get(m.read("SYS.BOOT"))
    m.answer(failed)
    return End(SELF_TEST_FAILED if failed else 0)


BOOT_COMMAND = Routine((lambda _: Call(BOOT), _say_step))

COMMANDS = (
    (BOOT_COMMAND, 0, 0),
    (SERVO_COMMAND, 0, 0),
    (LOOK_COMMAND, 0, 1),
    (TEMPERATURE_COMMAND, 2, 4),
    (WATCH_COMMAND, 3, 5),
    (ANNEAL_COMMAND, 2, COMMAND_WORDS),
    (SAFE_COMMAND, 0, 0),
)
"""By number: routine, least and most arguments."""


def _word(m: Machine) -> int | None:
    """A word from the host, if there is one."""
    if not m.read("MAILBOX.STATUS") & TO_CORE:
        return None
    word = m.read("MAILBOX.TO_CORE")
    m.write("MAILBOX.STATUS", TO_CORE)
    return word


def _take_header(m: Machine) -> Again | None:
    header = _word(m)
    if header is None:
        return Again()
    m["header"], m["taken"] = header, 0
    return None


def _take_arguments(m: Machine) -> Again | Goto | None:
    """Those beyond COMMAND_WORDS are taken and dropped."""
    if m["taken"] == m["header"] >> 8 & 0xFF:
        return None
    word = _word(m)
    if word is None:
        return Again()
    if m["taken"] < COMMAND_WORDS:
        m["arguments"][m["taken"]] = word
    m["taken"] += 1
    return Goto(_take_arguments)


def _carry_out(m: Machine) -> Call | None:
    number, count = m["header"] & 0xFF, m["taken"]
    m["status"] = m["count"] = 0
    if number >= len(COMMANDS):
        m["status"] = UNKNOWN
        return None
    routine, least, most = COMMANDS[number]
    if not least <= count <= most:
        m["status"] = ARGUMENTS
        return None
    return Call(routine, catches=True)


def _head(m: Machine) -> None:
    m["sent"] = 0
    m["header"] = m["header"] & 0xFF | m["count"] << 8 | m["status"] << 16


def _put(m: Machine) -> Again | Goto:
    if m["sent"] > m["count"]:
        return Goto(_take_header)
    if m.read("MAILBOX.STATUS") & FROM_CORE:
        return Again(ANSWER_LOOK)
    m.write("MAILBOX.FROM_CORE", m["header"] if m["sent"] == 0 else int(m["words"][m["sent"] - 1]))
    m["sent"] += 1
    return Goto(_put)


SERVE = Routine((_take_header, _take_arguments, _carry_out, _head, _put))
"""Takes commands from the mailbox and answers them."""


def _start_up(m: Machine) -> Call:
    listen(m, 0)
    return Call(BOOT)


def _booted(m: Machine) -> Call | End:
    return End() if register("SYS.BOOT").fields["DETAIL"].get(m.read("SYS.BOOT")) else Call(SERVE)


START_UP = Routine((_start_up, _booted))
ROUTINES = (
    START_UP, BOOT, TEST, SERVE, RUN, SAFE, MEASURE, LOOK, SERVO, *(routine for routine, _, _ in COMMANDS),
)  # fmt: skip
"""By number, as in the stack."""


class ControlFirmware:
    """Boots, and then serves commands.

    map_hash_word : of the register map that it was made for; may be set
    """

    map_hash_word = MAP_HASH_WORD

    def step(self, state: NDArray[np.int64], bus: Bus) -> int | None:
        """One step. Returns cycles until the next, at the latest, or None if only an event brings it.

        state : (16,) int64, zero at power-on and after a reset of the core; ValueError if RAM is too small for the variables
        """
        if len(bus.ram) < RAM_WORDS:
            raise ValueError(f"cpu.ram_words {len(bus.ram)}: this firmware needs {RAM_WORDS}")
        if bus.now < state[BUSY_UNTIL]:
            return int(state[BUSY_UNTIL]) - bus.now
        m = Machine(bus)
        if not state[STARTED]:
            m.variables[:] = np.zeros(1, VARIABLES)
            m["map_hash_word"] = self.map_hash_word
            call(m, ROUTINES, START_UP)
            state[STARTED] = 1
        if m["depth"] == 0:
            return None
        delay = advance(m, ROUTINES)
        state[BUSY_UNTIL] = bus.now + bus.cost
        return delay
