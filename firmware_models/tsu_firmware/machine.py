"""How behavioural firmware runs: routines of steps, whose place and variables are words of RAM.

A step is one stay on the bus: its accesses act in one cycle, and what comes next is no earlier than they took. Between two steps
nothing is left in Python, so that a chip can be saved and restored there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_contract.firmware import Bus
from tsu_contract.registers import WINDOWS, register

DEPTH = 8
"""Routines that may be under way, one within the other."""
COMMAND_WORDS = 32
"""Arguments of a command, and words of its answer."""
CELLS_MAX = 1024
SAVED_WORDS = 10240
PLANE_WORDS = 8

VARIABLES = np.dtype(
    [
        ("map_hash_word", "u4"), ("depth", "i4"), ("stack", "i4", (DEPTH, 3)),
        ("header", "u4"), ("taken", "u4"), ("arguments", "u4", (COMMAND_WORDS,)),
        ("status", "u4"), ("count", "u4"), ("sent", "u4"), ("words", "u4", (COMMAND_WORDS,)),
        ("test", "u4"), ("enabled", "u4"), ("came", "u4"), ("looks", "u4"), ("failure", "u4"), ("patience", "u4"),
        ("begun", "i8"), ("deadline", "i8"),
        ("saved", "u4", (SAVED_WORDS,)), ("registers", "u4", (8,)), ("planes", "u4", (3, PLANE_WORDS)),
        ("reads", "u4"), ("read", "u4"), ("offset", "i4", (CELLS_MAX,)), ("stuck", "u4"), ("rms", "u4"), ("worst", "u4"),
        ("worst_cell", "u4"), ("error", "u4"),
        ("round", "u4"), ("before", "u4"), ("ends", "u4"), ("code", "i2", (CELLS_MAX,)), ("best_code", "i2", (CELLS_MAX,)),
        ("best_offset", "i4", (CELLS_MAX,)), ("best_reads", "u2", (CELLS_MAX,)),
        ("watched", "u4"), ("servos", "u4"), ("seen", "u4"), ("errors", "u4"),
    ]
)  # fmt: skip
"""All that the firmware remembers, from the start of RAM on. stack: rows (routine, step that comes next, whether a failure of
what it called is its own affair)."""
RAM_WORDS = (VARIABLES.itemsize + 3) // 4


class Machine:
    """What a step has to work with: registers and windows by name, and variables: `m["round"]`, of VARIABLES."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.variables = bus.ram[:RAM_WORDS].view(np.uint8)[: VARIABLES.itemsize].view(VARIABLES)

    def __getitem__(self, name: str) -> Any:
        """A variable: an int, or the array itself."""
        value = self.variables[name][0]
        return value if isinstance(value, np.ndarray) else int(value)

    def __setitem__(self, name: str, value: Any) -> None:
        self.variables[name][0] = value

    @property
    def now(self) -> int:
        """Chip time in cycles."""
        return self.bus.now

    def read(self, name: str, index: int = 0) -> int:
        """A register's word."""
        return self.bus.read(register(name).at(index))

    def write(self, name: str, value: int, index: int = 0) -> None:
        """A register's word anew."""
        self.bus.write(register(name).at(index), value)

    def block(self, window: str, first: int, words: int) -> NDArray[np.uint32]:
        """Words of a window."""
        return self.bus.read_block(WINDOWS[window].address + 4 * first, words)

    def put_block(self, window: str, first: int, words: NDArray[np.uint32]) -> None:
        """Words of a window anew."""
        self.bus.write_block(WINDOWS[window].address + 4 * first, words)

    def fill(self, window: str, word: int, words: int) -> None:
        """The same word from a window's start on."""
        self.put_block(window, 0, np.full(words, word, np.uint32))

    def answer(self, *words: int) -> None:
        """Adds words to the answer."""
        for word in words:
            if self["count"] < COMMAND_WORDS:
                self["words"][self["count"]] = word & 0xFFFFFFFF
                self["count"] += 1


@dataclass(frozen=True)
class Again:
    """The same step again after so many cycles, or when something happens; None: only then."""

    cycles: int | None = None


@dataclass(frozen=True)
class Goto:
    """Another step of the routine."""

    step: Step


@dataclass(frozen=True)
class Call:
    """A routine, and then the next step. A failure ends this routine too, unless it `catches`: `m["status"]` tells."""

    routine: Routine
    catches: bool = False


@dataclass(frozen=True)
class End:
    """The routine is over; 0 is success."""

    status: int = 0


Step = Callable[[Machine], Again | Goto | Call | End | None]
"""Does something and says what comes next; None: the next step, or, after the last, End()."""


@dataclass(frozen=True, eq=False)
class Routine:
    """Steps, one after the other."""

    steps: tuple[Step, ...]


def call(m: Machine, routines: Sequence[Routine], routine: Routine) -> None:
    """The routine comes next, and then what is under way."""
    m["stack"][m["depth"]] = routines.index(routine), 0, 0
    m["depth"] += 1


def _end(m: Machine, status: int) -> None:
    """The innermost routine is over, and with a failure all that do not catch it."""
    m["status"] = status
    m["depth"] -= 1
    while status and m["depth"] and not m["stack"][m["depth"] - 1, 2]:
        m["depth"] -= 1


def advance(m: Machine, routines: Sequence[Routine]) -> int | None:
    """One step of the innermost routine. Returns cycles until the next, or None if only an event brings it."""
    frame = m["stack"][m["depth"] - 1]
    routine, at = routines[frame[0]], int(frame[1])
    match routine.steps[at](m):
        case Again(cycles):
            return cycles
        case Goto(step):
            frame[1] = routine.steps.index(step)
        case Call(called, catches):
            frame[1:] = at + 1, catches
            call(m, routines, called)
        case End(status):
            _end(m, status)
        case None:
            frame[1] = at + 1
    while m["depth"] and m["stack"][m["depth"] - 1, 1] == len(routines[m["stack"][m["depth"] - 1, 0]].steps):
        _end(m, 0)
    return 0 if m["depth"] else None
