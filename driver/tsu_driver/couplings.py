"""Problems to codes: couplings and biases in units of kT at T = 1 become DAC codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_contract.capabilities import LSB_SCALE
from tsu_driver.bus import Bus
from tsu_driver.energy import Meter
from tsu_driver.errors import HostError
from tsu_driver.kinds import name_of, require, terms_of
from tsu_driver.topology import Topology, cell_indices
from tsu_driver.versions import remember_codes


@dataclass(frozen=True)
class Quantised:
    """Values as codes.

    codes : int16 (int32 of more than 16 bits), shape of the values
    clipped : how many values lay outside the code range
    residual_lsb, residual_rms_lsb : greatest and root-mean-square rounding error of the others, in LSB; 0 if none
    """

    codes: NDArray[Any]
    clipped: int
    residual_lsb: float
    residual_rms_lsb: float


@dataclass(frozen=True)
class Programmed:
    """What `program_couplings` or `set_weights` wrote; the residuals cover couplings and biases together.

    coupling_codes : (couplers,) int16
    bias_codes : (cells,) int16, or (cells, terms)
    clipped : how many values lay outside the code range and were set to its end
    residual_lsb, residual_rms_lsb : greatest and root-mean-square rounding error of the unclipped, in LSB
    cycles : chip time that it took, settling included
    energy_j : what the chip spent meanwhile, J
    """

    coupling_codes: NDArray[np.int16]
    bias_codes: NDArray[np.int16]
    clipped: int
    residual_lsb: float
    residual_rms_lsb: float
    cycles: int
    energy_j: float


def quantise(values: ArrayLike, lsb: float, bits: int) -> Quantised:
    """Codes of a signed DAC for `values` of any shape in the unit of `lsb`: saturated, then rounded half to even.

    HostError names the place of a value that is NaN or infinite.
    """
    steps = np.atleast_1d(np.asarray(values, np.float64) / lsb)
    least, greatest = (float(steps.min()), float(steps.max())) if steps.size else (0.0, 0.0)
    if not np.isfinite(greatest - least):
        at = np.unravel_index(int(np.argmin(np.isfinite(steps))), steps.shape)
        raise HostError(f"value {steps[at] * lsb} at {_place(at)} is not finite")
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    clipped = 0
    if least < low or greatest > high:
        clipped = int(np.count_nonzero((steps < low) | (steps > high)))
        np.clip(steps, low, high, out=steps)
    rounded = np.rint(steps)
    codes = rounded.astype(np.int16 if bits <= 16 else np.int32).reshape(np.shape(values))
    kept = steps.size - clipped
    if not kept:
        return Quantised(codes, clipped, 0.0, 0.0)
    residual = np.subtract(steps, rounded, out=steps)
    worst = max(float(residual.max()), -float(residual.min()))
    square = float(np.square(residual, out=residual).sum())
    return Quantised(codes, clipped, worst, (square / kept) ** 0.5)


def coupling_values(topology: Topology, problem: Any) -> NDArray[np.float64]:
    """(couplers,) couplings of a problem, 0 where it names none.

    problem : (cells, cells) array or scipy.sparse matrix, [i, j] being what cell i hears of cell j, or an edge list
        (pairs (m, 2), values (m,)) whose values go both ways; None for no couplings
    HostError names an entry that is not finite, on the diagonal, named twice, or without a coupler.
    """
    if problem is None:
        return np.zeros(len(topology.source))
    edges = isinstance(problem, tuple)
    target, source, values = _edges(problem, topology.cells) if edges else _entries(problem, topology.cells)
    finite = np.isfinite(values)
    if not finite.all():
        at = int(np.argmin(finite))
        raise HostError(f"the coupling of cells {target[at]} and {source[at]} is {values[at]}")
    used = values != 0
    target, source, values = target[used], source[used], values[used]
    if (target == source).any():
        at = int(np.argmax(target == source))
        raise HostError(f"the coupling of cell {target[at]} to itself is {values[at]}; it must be 0")
    out = np.zeros(len(topology.source))
    np.add.at(out, topology.couplers(target, source), values)
    if edges:
        out[topology.couplers(source, target)] = values
    return out


def _entries(problem: Any, cells: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Row, column and value of the entries of a matrix that are not 0."""
    sparse = hasattr(problem, "tocoo")
    matrix = problem if sparse else _real(problem, "couplings")
    if tuple(matrix.shape) != (cells, cells):
        raise HostError(f"couplings of shape {tuple(matrix.shape)}; ({cells}, {cells}) is expected, the chip's cells")
    if sparse:
        coo = problem.tocoo()
        return coo.row.astype(np.int64), coo.col.astype(np.int64), _real(coo.data, "couplings")
    row, column = np.nonzero(matrix)
    return row, column, matrix[row, column]


def _edges(problem: Any, cells: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Ends and values of an edge list."""
    if len(problem) != 2:
        raise HostError(f"an edge list is (pairs, values); got a tuple of {len(problem)}")
    pairs, values = np.asarray(problem[0]), _real(problem[1], "values of an edge list")
    if pairs.size == 0:
        pairs = pairs.reshape(0, 2)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or values.shape != pairs.shape[:1]:
        raise HostError(f"an edge list has pairs (m, 2) and values (m,); got {pairs.shape} and {values.shape}")
    ends = cell_indices(pairs, cells)
    keys = ends.min(axis=1) * cells + ends.max(axis=1) if len(ends) else np.empty(0, np.int64)
    order = np.argsort(keys, kind="stable")
    twice = np.flatnonzero(np.diff(keys[order]) == 0)
    if len(twice):
        first, second = order[twice[0]], order[twice[0] + 1]
        pair = f"cells {ends[first, 0]} and {ends[first, 1]}"
        raise HostError(f"the edge list names {pair} twice, in entries {first} and {second}")
    return ends[:, 0], ends[:, 1], values


def bias_values(cells: int, terms: tuple[str, ...], h: ArrayLike | None) -> NDArray[np.float64]:
    """(cells,) biases, or (cells, terms) if a cell has several; all 0 for None."""
    shape = (cells,) if len(terms) == 1 else (cells, len(terms))
    values = np.zeros(shape) if h is None else _real(h, "biases")
    if values.shape != shape:
        which = "the chip's cells" if len(terms) == 1 else f"the chip's cells by their terms {', '.join(terms)}"
        raise HostError(f"biases of shape {values.shape}; {shape} is expected, {which}")
    if not np.isfinite(values).all():
        at = tuple(np.argwhere(~np.isfinite(values))[0].tolist())
        term = "bias" if len(terms) == 1 else f"term {terms[at[1]]}"
        raise HostError(f"the {term} of cell {at[0]} is {values[at]}")
    return values


def gaussian_problem(bus: Bus, A: Any, h: ArrayLike | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Couplings (cells, cells) and biases (cells, 2) of Gaussian cells with the energy 1/2 x^T A x - h^T x at T = 1.

    HostError says why A is no symmetric positive definite matrix, or that the cells are not Gaussian.
    """
    cells = bus.capabilities.cells
    require(name_of(bus.capabilities) == "gaussian", bus.capabilities, "a matrix is programmed into gaussian cells")
    matrix = np.array(A.toarray() if hasattr(A, "toarray") else A, np.float64)
    if matrix.shape != (cells, cells):
        raise HostError(f"matrix of shape {matrix.shape}; ({cells}, {cells}) is expected, the chip's cells")
    if not np.isfinite(matrix).all():
        i, j = np.argwhere(~np.isfinite(matrix))[0].tolist()
        raise HostError(f"element ({i}, {j}) of the matrix is {matrix[i, j]}")
    if not np.allclose(matrix, matrix.T):
        i, j = np.unravel_index(int(np.argmax(abs(matrix - matrix.T))), matrix.shape)
        raise HostError(f"the matrix is not symmetric: ({i}, {j}) is {matrix[i, j]}, ({j}, {i}) is {matrix[j, i]}")
    least = float(np.linalg.eigvalsh(matrix)[0])
    if not least > 0:
        raise HostError(f"the matrix is not positive definite: its least eigenvalue is {least:g}")
    terms = np.stack([bias_values(cells, ("h",), h), np.diag(matrix)], axis=1)
    np.fill_diagonal(matrix, 0.0)
    return -matrix, terms


def quantise_couplings(bus: Bus, values: ArrayLike) -> Quantised:
    """Codes of couplings for this chip's coupling DACs."""
    return quantise(values, bus.capabilities.coupling_lsb * LSB_SCALE, bus.capabilities.coupling_bits)


def quantise_biases(bus: Bus, values: ArrayLike) -> Quantised:
    """Codes of biases for this chip's bias DACs."""
    return quantise(values, bus.capabilities.bias_lsb * LSB_SCALE, bus.capabilities.bias_bits)


def program(bus: Bus, topology: Topology, problem: Any, h: ArrayLike | None, corrected: bool) -> Programmed:
    """Quantise a problem, write all codes, wait until the DACs have settled.

    corrected : codes make up for errors of couplers that are known; stuck bits are gone round in any case
    """
    values, correction = coupling_values(topology, problem), bus.correction
    couplings = quantise_couplings(bus, correction.settings(values) if corrected and correction else values)
    if correction:
        couplings = replace(couplings, codes=correction.possible(couplings.codes, bus.capabilities.coupling_bits))
    biases = quantise_biases(bus, bias_values(topology.cells, terms_of(bus.capabilities), h))
    return write(bus, couplings, biases, {})


def write(bus: Bus, couplings: Quantised, biases: Quantised, before: Mapping[str, NDArray[Any]]) -> Programmed:
    """Write all codes and wait until the DACs have settled, in one message.

    before : windows that are written first, by name
    """
    batch = bus.batch()
    meter = Meter(batch)
    for name, array in before.items():
        batch.write_window(name, array)
    batch.write_window("COUPLING", couplings.codes)
    batch.write_window("BIAS", biases.codes.reshape(-1))
    batch.wait_field("FABRIC.STATUS.SETTLED", 1, max_cycles=bus.capabilities.settle_cycles + 1)
    meter.stop(batch)
    outcome = batch.execute()
    remember_codes(bus, couplings.codes, biases.codes)
    kept = [q.codes.size - q.clipped for q in (couplings, biases)]
    square = kept[0] * couplings.residual_rms_lsb**2 + kept[1] * biases.residual_rms_lsb**2
    return Programmed(
        coupling_codes=couplings.codes,
        bias_codes=biases.codes,
        clipped=couplings.clipped + biases.clipped,
        residual_lsb=max(couplings.residual_lsb, biases.residual_lsb),
        residual_rms_lsb=float(np.sqrt(square / max(1, sum(kept)))),
        cycles=outcome.cycles,
        energy_j=meter.energy_j,
    )


def _real(values: Any, what: str) -> NDArray[np.float64]:
    """As float64; HostError if they are no real numbers."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiub" and array.size:
        raise HostError(f"{what} are of the type {array.dtype}; real numbers expected")
    return array.astype(np.float64, copy=False)


def _place(at: tuple[Any, ...]) -> str:
    return f"index {int(at[0])}" if len(at) == 1 else f"index {tuple(int(k) for k in at)}"
