"""Elements of memory windows to 32-bit words and back."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_contract.capabilities import Capabilities
from tsu_contract.extension import BASE, RegisterMap
from tsu_contract.registers import Window
from tsu_contract.wire import Frame
from tsu_driver.errors import HostError
from tsu_driver.names import find_window, integer


@dataclass(frozen=True)
class Layout:
    """A window as this chip has it: `shape` and `size` in elements, `limits` of an element or None if all are legal."""

    window: Window
    shape: tuple[int, ...]
    size: int
    limits: tuple[int, int] | None


@dataclass(frozen=True)
class Span:
    """A run of elements: `count` elements are `words` words at byte address `address`."""

    layout: Layout
    address: int
    words: int
    count: int

    def decode(self, data: Frame) -> NDArray[Any]:
        """The elements, (count,) or the window's shape if it is whole. Read-only, a view of `data`."""
        out = (
            np.frombuffer(data, self.layout.window.dtype, count=self.count)
            if self.count
            else np.empty(0, self.layout.window.dtype)
        )
        return out.reshape(self.layout.shape) if self.count == self.layout.size else out


class Layouts:
    """The windows of one chip, laid out once; registers : its map."""

    def __init__(self, capabilities: Capabilities, registers: RegisterMap = BASE) -> None:
        self._capabilities, self._map = capabilities, registers
        self._layouts: dict[str, Layout] = {}

    def __getitem__(self, name: str) -> Layout:
        layout = self._layouts.get(name)
        if layout is None:
            window = find_window(name, self._map)
            shape = self._capabilities.shape(window)
            layout = Layout(window, shape, prod(shape), self._capabilities.limits(window))
            self._layouts[name] = layout
        return layout


def span(layout: Layout, start: int, count: int | None) -> Span:
    """Elements start .. start + count - 1, to the end if count is None.

    HostError if they leave the window, or do not begin and end on a 32-bit word. The window's end is always legal; of a
    window that the chip has empty (a chip without couplers) there are no words.
    """
    name, per_word = layout.window.name, max(1, 4 // layout.window.dtype.itemsize)
    start = integer(start, f"start in {name}")
    count = layout.size - start if count is None else integer(count, f"count in {name}")
    end = start + count
    if start < 0 or end > layout.size or count < (1 if layout.size else 0):
        raise HostError(f"{name} has elements 0 .. {layout.size - 1}; {count} from {start} are not among them")
    if start % per_word:
        raise HostError(f"{name}: element {start} does not begin a 32-bit word; {start - start % per_word} does")
    if end % per_word and end != layout.size:
        fitting = min(layout.size, end + per_word - end % per_word)
        raise HostError(f"{name}: element {end - 1} does not end a 32-bit word; with count {fitting - start} one ends")
    itemsize = layout.window.dtype.itemsize
    return Span(layout, layout.window.address + start * itemsize, (count * itemsize + 3) // 4, count)


def payload(layout: Layout, array: ArrayLike, start: int) -> tuple[Span, memoryview]:
    """Where an array goes, and its bytes: a view of the array itself if its type fits.

    Integers of another type are converted after a check of their range; anything else is a HostError. An odd last
    half-word is filled with zero bits.
    """
    values = np.asarray(array)
    window = layout.window
    if values.ndim > 1 and values.shape[1:] != layout.shape[1:]:
        raise HostError(f"{window.name} has shape {layout.shape}; an array of shape {values.shape} does not fit")
    if values.ndim == 0:
        raise HostError(f"{window.name} takes an array, not the single value {values.item()!r}")
    where = span(layout, start, values.size)
    data = np.ascontiguousarray(_converted(layout, values)).reshape(-1)
    if data.nbytes % 4:
        data = np.append(data, np.zeros(4 // data.itemsize - data.size % (4 // data.itemsize), data.dtype))
    return where, data.view(np.uint8).data


def _converted(layout: Layout, values: NDArray[Any]) -> NDArray[Any]:
    """`values` in the window's type."""
    window = layout.window
    if values.dtype == window.dtype:
        return values
    if values.dtype.kind not in "iub":
        raise HostError(f"{window.name} holds {window.dtype.name} codes; got {values.dtype}: convert or quantise first")
    info = np.iinfo(window.dtype)
    low, high = layout.limits or (int(info.min), int(info.max))
    if values.size and (int(values.min()) < low or int(values.max()) > high):
        place = int(np.argmax((values < low) | (values > high)))
        raise HostError(f"{window.name}: element {place} = {values.flat[place]} is not in {low} .. {high}")
    return values.astype(window.dtype)
