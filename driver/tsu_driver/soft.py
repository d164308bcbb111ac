"""Soft clamps: a field on a cell in one plane, which pulls where a clamp pins."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_driver.bus import Bus
from tsu_driver.couplings import Quantised, quantise_biases
from tsu_driver.errors import HostError
from tsu_driver.kinds import name_of
from tsu_driver.planes import Planes, plane_numbers
from tsu_driver.topology import distinct_cells

WINDOW = "SOFT"


def set_fields(bus: Bus, cells: ArrayLike, fields: ArrayLike, planes: Planes | None) -> Quantised:
    """Set the fields of cells in planes (None: all), in kT at T = 1; other fields stay."""
    rows, numbers = _rows(bus, planes), distinct_cells(cells, bus.capabilities.cells)
    given, shape = np.asarray(fields, np.float64), (len(rows), len(numbers))
    if given.shape not in (shape, shape[1:]):
        raise HostError(f"fields of shape {given.shape}; ({shape[1]},) for all planes or {shape} for each is expected")
    quantised = quantise_biases(bus, given)
    codes = _codes(bus).copy()
    codes[np.ix_(rows, numbers)] = quantised.codes
    _write(bus, codes, rows)
    return quantised


def clear_fields(bus: Bus, cells: ArrayLike | None, planes: Planes | None) -> None:
    """Take the fields off cells (None: all) in planes (None: all)."""
    rows = _rows(bus, planes)
    numbers = np.arange(bus.capabilities.cells) if cells is None else distinct_cells(cells, bus.capabilities.cells)
    codes = _codes(bus).copy()
    codes[np.ix_(rows, numbers)] = 0
    _write(bus, codes, rows)


def _rows(bus: Bus, planes: Planes | None) -> NDArray[np.int64]:
    """Planes as numbers; HostError if the chip has no soft fields."""
    if not bus.layouts[WINDOW].size:
        kind = name_of(bus.capabilities)
        raise HostError(
            f"this chip has no soft fields: clocked p-bits have, with up to 2^25 cells in all planes; these are {kind}"
        )
    total = bus.capabilities.planes
    return plane_numbers(total if planes is None else planes, total)


def _codes(bus: Bus) -> NDArray[np.int16]:
    """(planes, cells), from the chip unless the host knows them."""
    if WINDOW not in bus.shadow:
        batch = bus.batch()
        ticket = batch.read_window(WINDOW)
        batch.execute()
        return ticket.value
    known: NDArray[np.int16] = bus.shadow[WINDOW]
    return known


def _write(bus: Bus, codes: NDArray[np.int16], rows: NDArray[np.int64]) -> None:
    """Write from the least of `rows` to the greatest, to whole words, and remember all."""
    if not len(rows):
        return
    start, end = int(rows.min()) * codes.shape[1], (int(rows.max()) + 1) * codes.shape[1]
    start -= start % 2
    batch = bus.batch()
    batch.write_window(WINDOW, codes.reshape(-1)[start : end + end % 2], start)
    batch.execute()
    bus.remember({WINDOW: codes})
