"""Clamps: cells pinned to a spin, a state or a value, plane by plane."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_contract.bits import pack_spins, unpack_spins
from tsu_contract.capabilities import PIN_STEPS, Capabilities
from tsu_driver.batch import Batch
from tsu_driver.bus import Bus
from tsu_driver.errors import HostError
from tsu_driver.kinds import has_spins, has_values, value_range
from tsu_driver.planes import Planes, plane_numbers
from tsu_driver.topology import distinct_cells

MASK, VALUE, PIN = "CLAMP_MASK", "CLAMP_VALUE", "PIN"


class Clamps:
    """The clamp windows, with a copy on the host so that setting some clamps leaves the others.

    What cells are pinned to lies in CLAMP_VALUE for p-bits, (planes, cells) bool here, and in PIN for others, int16.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._values = VALUE if has_spins(bus.capabilities) else PIN

    def set(self, cells: ArrayLike, values: ArrayLike, planes: Planes | None) -> None:
        """Pin `cells` to `values` in `planes` (None: all)."""
        numbers, rows = distinct_cells(cells, self._bus.capabilities.cells), self._planes(planes)
        pinned = _pins(values, (len(rows), len(numbers)), self._bus.capabilities)
        mask, value = (np.copy(window) for window in self._windows())
        where = (slice(None), numbers) if planes is None else np.ix_(rows, numbers)
        known = bool(mask[where].all())
        mask[where] = True
        value[where] = pinned
        self._write(rows, mask, value, with_mask=not known)

    def clear(self, cells: ArrayLike | None, planes: Planes | None) -> None:
        """Release `cells` (None: all) in `planes` (None: all)."""
        rows = self._planes(planes)
        mask, value = (np.copy(window) for window in self._windows())
        if cells is None:
            mask[rows] = False
        else:
            mask[np.ix_(rows, distinct_cells(cells, self._bus.capabilities.cells))] = False
        self._write(rows, mask, value, with_value=False)

    def only(self, cells: NDArray[np.int64], planes: NDArray[np.int64]) -> None:
        """Clamp these cells of these planes, and no others of them, to what they were clamped to last."""
        mask, value = (np.copy(window) for window in self._windows())
        mask[planes] = False
        mask[np.ix_(planes, cells)] = True
        self._write(planes, mask, value, with_value=False)

    def _write(
        self,
        rows: NDArray[np.int64],
        mask: NDArray[np.bool_],
        value: NDArray[Any],
        *,
        with_mask: bool = True,
        with_value: bool = True,
    ) -> None:
        """Write what changed, from the least of `rows` to the greatest, and remember it."""
        if not len(rows):
            return
        first, last = int(rows.min()), int(rows.max())
        batch = self._bus.batch()
        if with_mask:
            _write_bits(batch, MASK, mask, first, last)
        if with_value and self._values == VALUE:
            _write_bits(batch, VALUE, value, first, last)
        elif with_value:
            start, end = first * value.shape[1], (last + 1) * value.shape[1]
            batch.write_window(PIN, value.reshape(-1)[start - start % 2 : end + end % 2], start - start % 2)
        batch.execute()
        self._bus.remember({MASK: mask, self._values: value})

    def _windows(self) -> tuple[NDArray[np.bool_], NDArray[Any]]:
        """Mask and value, (planes, cells) each, from the chip unless the host knows them."""
        names = (MASK, self._values)
        known = {name: self._bus.shadow[name] for name in names if name in self._bus.shadow}
        if len(known) < len(names):
            batch = self._bus.batch()
            tickets = {name: batch.read_window(name) for name in names}
            batch.execute()
            cells = self._bus.capabilities.cells
            known = {n: t.value if n == PIN else unpack_spins(t.value, cells) > 0 for n, t in tickets.items()}
            self._bus.remember(known)
        return known[MASK], known[self._values]

    def _planes(self, planes: Planes | None) -> NDArray[np.int64]:
        total = self._bus.capabilities.planes
        return plane_numbers(total if planes is None else planes, total)


def _write_bits(batch: Batch, name: str, bits: NDArray[np.bool_], first: int, last: int) -> None:
    """Rows first .. last of a window of one bit a cell."""
    words = pack_spins(bits[first : last + 1])
    batch.write_window(name, words.reshape(-1), first * words.shape[1])


def _pins(values: ArrayLike, shape: tuple[int, int], capabilities: Capabilities) -> NDArray[Any]:
    """Values as the window holds them, to be broadcast to (planes, cells); HostError names one that is none."""
    given = np.asarray(values)
    if given.shape not in (shape, shape[1:]):
        legal = f"({shape[1]},) for all planes or {shape} for each is expected"
        raise HostError(f"clamp values of shape {given.shape}; {legal}")
    if has_spins(capabilities):
        if given.dtype == np.bool_:
            return given
        _check((given == 1) | (given == -1), given, "-1 or +1 (or bool)")
        up: NDArray[np.bool_] = given > 0
        return up
    if has_values(capabilities):
        return _pin_codes(given, value_range(capabilities))
    states = capabilities.states
    integers = given.dtype.kind in "iu" or not given.size
    _check((given >= 0) & (given < states) if integers else np.zeros(given.shape, bool), given, f"a state 0 .. {states - 1}")
    return given.astype(np.int16)


def _pin_codes(given: NDArray[Any], reach: float) -> NDArray[np.int16]:
    """Codes of PIN nearest to analog values."""
    steps = np.rint(given.astype(np.float64) * (PIN_STEPS / reach))
    legal = f"a value in {-reach:g} .. {reach * (1 - 1 / PIN_STEPS):g}"
    _check((steps >= -PIN_STEPS) & (steps < PIN_STEPS), given, legal)
    return steps.astype(np.int16)


def _check(good: NDArray[np.bool_], given: NDArray[Any], legal: str) -> None:
    """HostError naming the first value that is not good, and what would be."""
    if not good.all():
        at = np.unravel_index(int(np.argmin(good)), given.shape)
        raise HostError(f"clamp value {given[at]} at index {tuple(int(k) for k in at)}; {legal} is expected")
