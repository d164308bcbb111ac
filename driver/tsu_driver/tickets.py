"""Tickets: what an operation of a batch will have read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from numpy.typing import NDArray

from tsu_contract.registers import Field
from tsu_driver.windows import Span

if TYPE_CHECKING:
    from tsu_driver.batch import Batch

T = TypeVar("T")

NO_BLOCK = -1
"""Slot of a window that this chip has no elements of."""


class Ticket(ABC, Generic[T]):
    """The promise of a value; `value` holds once the batch has been executed, HostError before."""

    __slots__ = ("_batch", "_slot")

    def __init__(self, batch: Batch, slot: int) -> None:
        self._batch = batch
        self._slot = slot

    @property
    @abstractmethod
    def value(self) -> T:
        """What the operation read."""


class WordTicket(Ticket[int]):
    """A 32-bit word."""

    __slots__ = ()

    @property
    def value(self) -> int:
        """The word, 0 .. 2^32 - 1."""
        return self._batch._value(self._slot)


class WideTicket(Ticket[int]):
    """A 64-bit counter, read low word first."""

    __slots__ = ()

    @property
    def value(self) -> int:
        """The counter, 0 .. 2^64 - 1."""
        return self._batch._value(self._slot) | self._batch._value(self._slot + 1) << 32


class FieldTicket(Ticket[int]):
    """A field of a register."""

    __slots__ = ("_field", "_source")

    def __init__(self, batch: Batch, source: Ticket[int], fld: Field) -> None:
        super().__init__(batch, source._slot)
        self._source = source
        self._field = fld

    @property
    def value(self) -> int:
        """The field, shifted down."""
        return self._field.get(self._source.value)


class WindowTicket(Ticket[NDArray[Any]]):
    """Elements of a window."""

    __slots__ = ("_span",)

    def __init__(self, batch: Batch, slot: int, where: Span) -> None:
        super().__init__(batch, slot)
        self._span = where

    @property
    def value(self) -> NDArray[Any]:
        """(count,) array of the window's type, or the window's shape if all of it was read; read-only."""
        return self._span.decode(b"" if self._slot == NO_BLOCK else self._batch._block(self._slot))
