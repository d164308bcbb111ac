"""Colours for block updates: cells of one colour hear nothing of each other and can be updated together."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Ints = NDArray[np.int64]


def colour_graph(pairs: Ints, cells: int) -> Ints:
    """(cells,) colours from 0 on, two if the graph allows it, else greedy.

    pairs : (m, 2) coupled cells
    Greedy takes one maximal independent set after the other, cells with many neighbours first (Welsh and Powell 1967).
    """
    two = _two_colours(pairs, cells)
    return _greedy(pairs, cells) if two is None else two


def checked_colours(colours: ArrayLike, pairs: Ints, cells: int) -> Ints:
    """Colours that were given, as (cells,) int64; ValueError names two coupled cells of one colour."""
    out = np.asarray(colours)
    if out.shape != (cells,) or out.dtype.kind not in "iu":
        raise ValueError(f"colours is {out.dtype} of shape {out.shape}; integers of shape ({cells},) are expected, one per cell")
    same = out[pairs[:, 0]] == out[pairs[:, 1]]
    if same.any():
        i, j = pairs[np.argmax(same)]
        raise ValueError(f"cells {i} and {j} are coupled and both have colour {out[i]}; coupled cells need different colours")
    return out.astype(np.int64)


def _two_colours(pairs: Ints, cells: int) -> Ints | None:
    """0 and 1, or None where there is an odd ring.

    In the double cover, cells (i, 0) and (i, 1) with links (i, 0) - (j, 1), the two copies of a cell are connected if and only if
    the cell lies in a component with an odd ring.
    """
    i, j = pairs.T
    rows, columns = np.concatenate([i, j]), np.concatenate([j, i]) + cells
    cover = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(2 * cells, 2 * cells))
    _, component = connected_components(cover, directed=False)
    first, second = component[:cells], component[cells:]
    return None if (first == second).any() else (first > second).astype(np.int64)


def _greedy(pairs: Ints, cells: int) -> Ints:
    i, j = pairs.T
    degree = np.bincount(pairs.ravel(), minlength=cells)
    rank = np.argsort(np.lexsort([np.random.default_rng(0).permutation(cells), -degree]))
    loser, winner = np.where(rank[i] > rank[j], (i, j), (j, i))
    colour = np.full(cells, -1)
    for k in range(cells):
        candidate = colour < 0
        if not candidate.any():
            break
        while candidate.any():
            chosen = candidate.copy()
            chosen[loser[candidate[winner] & candidate[loser]]] = False
            colour[chosen] = k
            candidate &= ~chosen
            candidate[loser[chosen[winner]]] = False
    return colour
