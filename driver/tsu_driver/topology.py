"""Which cell hears which: couplers, pairs, colours, positions, as the chip's TOPO windows tell."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_driver.bus import Bus
from tsu_driver.errors import HostError


class Topology:
    """The couplers of a chip, in coupler order (by target, then source).

    row : (cells + 1,) uint32; couplers row[i] .. row[i+1] - 1 drive cell i
    source : (couplers,) uint32, cell that a coupler listens to
    colour : (cells,) uint16, colour phase in which a cell is updated
    position : (cells, 2) int16, x and y in cell pitches
    """

    def __init__(
        self,
        row: NDArray[np.uint32],
        source: NDArray[np.uint32],
        colour: NDArray[np.uint16],
        position: NDArray[np.int16],
    ) -> None:
        self.row, self.source, self.colour, self.position = row, source, colour, position
        self.cells = len(colour)

    @classmethod
    def read(cls, bus: Bus) -> Topology:
        """The topology of a chip, in one message."""
        batch = bus.batch()
        row, source, colour, position = (batch.read_window(f"TOPO_{name}") for name in ("ROW", "SOURCE", "COLOUR", "POSITION"))
        batch.execute()
        return cls(row.value, source.value, colour.value, position.value)

    @cached_property
    def target(self) -> NDArray[np.int64]:
        """(couplers,) cell that a coupler drives."""
        heard = self.row[1:].astype(np.int64) - self.row[:-1].astype(np.int64)
        return np.repeat(np.arange(self.cells), heard)

    @cached_property
    def pairs(self) -> NDArray[np.int32]:
        """(pairs, 2) cells (i, j), i < j, in the order of CORR_PAIR: the couplers with source > target."""
        first = self.source > self.target
        return np.stack([self.target[first], self.source[first]], axis=1).astype(np.int32)

    @cached_property
    def pair_of(self) -> NDArray[np.int64]:
        """(couplers,) pair that a coupler belongs to, so that `codes_of_pairs[pair_of]` are codes of couplers."""
        low, high = np.minimum(self.target, self.source), np.maximum(self.target, self.source)
        keys = self.pairs[:, 0].astype(np.int64) * self.cells + self.pairs[:, 1]
        wanted = low * self.cells + high
        place = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
        lost = np.flatnonzero(keys[place] != wanted) if len(keys) else np.arange(len(wanted))
        if len(lost):
            e = lost[0]
            raise HostError(f"coupler {e} of cells {low[e]} and {high[e]} belongs to no pair; it has no counterpart")
        return place

    def couplers(self, target: ArrayLike, source: ArrayLike) -> NDArray[np.int64]:
        """Couplers through which `target` cells hear `source` cells; arrays of equal shape, result of that shape.

        HostError names the first pair that has no coupler.
        """
        i, j = np.broadcast_arrays(self._cells(target), self._cells(source))
        wanted = i * self.cells + j
        place: NDArray[np.int64] = np.searchsorted(self._keys, wanted)
        found = self._keys[place] == wanted
        if not np.all(found):
            at = int(np.argmin(found))
            what = f"cell {i.flat[at]} hears cell {j.flat[at]} (entry {at})"
            raise HostError(f"there is no coupler through which {what}; see chip.topology.pairs")
        return place

    @cached_property
    def _keys(self) -> NDArray[np.int64]:
        """(couplers + 1,) target x cells + source, ascending; the last is greater than any."""
        return np.append(self.target * self.cells + self.source.astype(np.int64), np.iinfo(np.int64).max)

    def _cells(self, cells: ArrayLike) -> NDArray[np.int64]:
        return cell_indices(cells, self.cells)


def cell_indices(cells: ArrayLike, total: int) -> NDArray[np.int64]:
    """Cell numbers as an array; HostError names the first that is no cell of the chip."""
    out = np.asarray(cells)
    if out.dtype.kind not in "iu" and out.size:
        raise HostError(f"cells are numbered by integers; got {out.dtype}")
    if out.size and (int(out.min()) < 0 or int(out.max()) >= total):
        at = int(np.argmax((out < 0) | (out >= total)))
        entry = at if out.ndim <= 1 else tuple(int(k) for k in np.unravel_index(at, out.shape))
        raise HostError(f"there is no cell {out.flat[at]} (entry {entry}); the chip has cells 0 .. {total - 1}")
    return out.astype(np.int64, copy=False)


def distinct_cells(cells: ArrayLike, total: int) -> NDArray[np.int64]:
    """(k,) cell numbers; HostError names one that is no cell of the chip or is given twice."""
    numbers = cell_indices(cells, total)
    if numbers.ndim != 1:
        raise HostError(f"cells are a list of numbers; got an array of shape {numbers.shape}")
    seen = np.zeros(total, bool)
    seen[numbers] = True
    if int(seen.sum()) != len(numbers):
        counts = np.bincount(numbers, minlength=total)
        raise HostError(f"cell {int(np.argmax(counts > 1))} is named twice")
    return numbers
