"""What may be decided one way or the other on silicon, and the register map that a user has added to."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tsu_contract.extension import BASE, RegisterMap, load_map
from tsu_emu.config.base import Table

Domain = Literal["digital", "keep-trims", "chip"]


class Policy(Table):
    """Decisions of a chip's digital side; docs/theory-of-operation.md, "Policies". Defaults are those of the shipped chips.

    reset : what SYS.CTRL.RESET clears: registers and sequencer; also windows but trims; also trims
    watchdog : what is cleared with the core when its watchdog bites; "core": nothing else
    pending : what becomes of a bit of IRQ.PENDING that an event sets in the cycle in which it is cleared
    write_queue : posted writes of the link that may be under way, 0: as many as `timing.write_buffer` lets
    write_queue_full : what happens to one more
    """

    reset: Domain = "digital"
    watchdog: Literal["core"] | Domain = "core"
    pending: Literal["clear-wins", "set-wins"] = "clear-wins"
    write_queue: Annotated[int, Field(ge=0, le=64)] = 0
    write_queue_full: Literal["stall", "fail"] = "stall"


class UserMap(Table):
    """Registers of a user beside the contract's.

    file : path of a folded table that `tools/run regmap --with` made, from the directory that the chip is started in; "": none
    """

    file: str = ""

    @model_validator(mode="after")
    def _is_a_map(self) -> UserMap:
        self.registers()
        return self

    def registers(self) -> RegisterMap:
        """The chip's map; ValueError names the file and says what is wrong with it."""
        if not self.file:
            return BASE
        try:
            found = Path(self.file).stat()
            return _load(self.file, found.st_mtime_ns, found.st_size)
        except OSError as error:
            raise ValueError(str(error)) from None


@lru_cache(maxsize=16)
def _load(file: str, changed: int, size: int) -> RegisterMap:
    """The map of a file as it was at a time."""
    return load_map(file)
