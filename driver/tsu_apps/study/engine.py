"""What carries out batches: an interface, and the two ends of it, a batch and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from tsu_apps.study.task import Outcome, Work


@dataclass(frozen=True)
class Batch:
    """Cells that one worker measures in one go; deaths : of workers that had it in hand."""

    work: tuple[Work, ...]
    deaths: int = 0


@dataclass(frozen=True)
class Died:
    """A worker ended with its batch."""

    why: str


class Finished(NamedTuple):
    """A batch, and its outcomes or the death of its worker."""

    batch: Batch
    result: list[Outcome] | Died


class EngineLost(RuntimeError):
    """Nothing carries out batches any more; what was finished is in the store."""


class Engine(Protocol):
    """Carries out batches.

    workers : batches that are carried out at once; capacity : that may be under way now
    """

    @property
    def workers(self) -> int: ...

    @property
    def capacity(self) -> int: ...

    def start(self, batch: Batch) -> None:
        """Take a batch; not more than `capacity` at once."""

    def wait(self) -> list[Finished]:
        """Batches that have ended, after something has happened; perhaps none. EngineLost if nothing will."""

    def close(self) -> None:
        """Let go of all workers."""
