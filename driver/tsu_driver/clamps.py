"""Clamps: cells pinned to +1 or -1, plane by plane."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_contract.bits import pack_spins, unpack_spins
from tsu_driver.bus import Bus
from tsu_driver.errors import HostError
from tsu_driver.planes import Planes, plane_numbers
from tsu_driver.topology import cell_indices

MASK, VALUE = "CLAMP_MASK", "CLAMP_VALUE"


class Clamps:
    """The clamp windows, with a copy on the host so that setting some clamps leaves the others."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def set(self, cells: ArrayLike, values: ArrayLike, planes: Planes | None) -> None:
        """Pin `cells` to `values` in `planes` (None: all)."""
        numbers, rows = self._cells(cells), self._planes(planes)
        up = _ups(values, (len(rows), len(numbers)))
        mask, value = (np.copy(window) for window in self._windows())
        where = (slice(None), numbers) if planes is None else np.ix_(rows, numbers)
        pinned = bool(mask[where].all())
        mask[where] = True
        value[where] = up
        self._write(rows, mask, value, with_mask=not pinned)

    def clear(self, cells: ArrayLike | None, planes: Planes | None) -> None:
        """Release `cells` (None: all) in `planes` (None: all)."""
        rows = self._planes(planes)
        mask, value = (np.copy(window) for window in self._windows())
        if cells is None:
            mask[rows] = False
        else:
            mask[np.ix_(rows, self._cells(cells))] = False
        self._write(rows, mask, value, with_value=False)

    def _write(
        self,
        rows: NDArray[np.int64],
        mask: NDArray[np.bool_],
        value: NDArray[np.bool_],
        *,
        with_mask: bool = True,
        with_value: bool = True,
    ) -> None:
        """Write what changed, from the least of `rows` to the greatest, and remember it."""
        if not len(rows):
            return
        first, last = int(rows.min()), int(rows.max())
        start = first * ((mask.shape[1] + 31) // 32)
        batch = self._bus.batch()
        if with_mask:
            batch.write_window(MASK, pack_spins(mask[first : last + 1]).reshape(-1), start)
        if with_value:
            batch.write_window(VALUE, pack_spins(value[first : last + 1]).reshape(-1), start)
        batch.execute()
        self._bus.shadow |= {MASK: mask, VALUE: value}

    def _windows(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Mask and value, (planes, cells) each, from the chip unless the host knows them."""
        shadow = self._bus.shadow
        if MASK not in shadow or VALUE not in shadow:
            batch = self._bus.batch()
            tickets = {name: batch.read_window(name) for name in (MASK, VALUE)}
            batch.execute()
            for name, ticket in tickets.items():
                shadow[name] = unpack_spins(ticket.value, self._bus.capabilities.cells) > 0
        return shadow[MASK], shadow[VALUE]

    def _cells(self, cells: ArrayLike) -> NDArray[np.int64]:
        total = self._bus.capabilities.cells
        numbers = cell_indices(cells, total)
        if numbers.ndim != 1:
            raise HostError(f"cells are a list of numbers; got an array of shape {numbers.shape}")
        seen = np.zeros(total, bool)
        seen[numbers] = True
        if int(seen.sum()) != len(numbers):
            counts = np.bincount(numbers, minlength=total)
            raise HostError(f"cell {int(np.argmax(counts > 1))} is named twice")
        return numbers

    def _planes(self, planes: Planes | None) -> NDArray[np.int64]:
        total = self._bus.capabilities.planes
        return plane_numbers(total if planes is None else planes, total)


def _ups(values: ArrayLike, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Values as True for +1, broadcast to (planes, cells); HostError if they are neither bool nor -1 and +1."""
    given = np.asarray(values)
    if given.shape not in (shape, shape[1:]):
        legal = f"({shape[1]},) for all planes or {shape} for each is expected"
        raise HostError(f"clamp values of shape {given.shape}; {legal}")
    if given.dtype == np.bool_:
        return given
    wrong = (given != 1) & (given != -1)
    if wrong.any():
        at = np.unravel_index(int(np.argmax(wrong)), given.shape)
        raise HostError(f"clamp value {given[at]} at index {tuple(int(k) for k in at)}; -1 or +1 (or bool) is expected")
    up: NDArray[np.bool_] = given > 0
    return up
