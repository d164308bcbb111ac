"""The coupler graph of a chip: who hears whom, in which colour, where on the die."""

from __future__ import annotations

from itertools import pairwise
from math import ceil, prod, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu.config import Bipartite, ConfigError, Dense, Edges, Fabric, Grid
from tsu_emu.config.fabric import Hierarchical, Layered, SmallWorld
from tsu_emu.jit import kernel
from tsu_emu.small_world import rewired

COUPLERS_MAX = 1 << 24
"""What the TOPO_SOURCE window holds: 64 MiB of 32-bit words."""
ATTEMPTS = 100
"""Small-world graphs that are drawn before giving up."""


class Topology(NamedTuple):
    """A coupler graph in CSR form; all arrays are read-only by convention.

    row : (cells + 1,) int64; source : (couplers,) uint32, ascending in each row
    colour : (cells,) uint16; position : (cells, 2) int16, in cell pitches
    order : (cells,) int64, cells in sweep order (index = rank); phase : (colours + 1,) int64, first rank of each colour
    pair_i, pair_j : (pairs,) uint32, i < j, in pair order
    run : (runs + 1,) int64, first pair of each run: pairs of one lower cell whose higher cells follow one another
    """

    row: NDArray[np.int64]
    source: NDArray[np.uint32]
    colour: NDArray[np.uint16]
    position: NDArray[np.int16]
    order: NDArray[np.int64]
    phase: NDArray[np.int64]
    pair_i: NDArray[np.uint32]
    pair_j: NDArray[np.uint32]
    run: NDArray[np.int64]


def build(fabric: Fabric) -> Topology:
    """The graph of a fabric; ConfigError if an edge list is not a simple graph or too large."""
    cells, pairs, position = _shape(fabric)
    _check_couplers(2 * len(pairs))
    row, target, source = _rows(cells, pairs)
    colour = _two_colours(row, source, cells)
    if colour is None:
        colour = _greedy_colours(row, source)
    order = np.lexsort((np.arange(cells), colour)).astype(np.int64)
    phase = np.searchsorted(colour[order], np.arange(int(colour.max()) + 2)).astype(np.int64)
    upper = source > target
    i, j = target[upper], source[upper]
    return Topology(
        row, source.astype(np.uint32), colour, position, order, phase, i.astype(np.uint32), j.astype(np.uint32), _runs(i, j)
    )


def _runs(i: NDArray[np.int64], j: NDArray[np.int64]) -> NDArray[np.int64]:
    """`Topology.run` of pairs."""
    breaks = np.flatnonzero((np.diff(i) != 0) | (np.diff(j) != 1)) + 1
    return np.unique(np.concatenate([[0], breaks, [len(i)]])).astype(np.int64)


def _rows(cells: int, pairs: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(cells + 1,) first coupler of each cell; targets and sources of the couplers, both directions of (n, 2) pairs."""
    target = np.concatenate([pairs[:, 0], pairs[:, 1]])
    source = np.concatenate([pairs[:, 1], pairs[:, 0]])
    by_row = np.lexsort((source, target))
    target, source = target[by_row], source[by_row]
    return np.searchsorted(target, np.arange(cells + 1)).astype(np.int64), target, source


def pair_couplers(topology: Topology) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(pairs,) couplers by which the lower cell of each pair hears the higher one, and by which the higher hears the lower."""
    target = np.repeat(np.arange(len(topology.order)), np.diff(topology.row))
    upper = np.flatnonzero(topology.source > target)
    lower = np.flatnonzero(topology.source < target)
    return upper, lower[np.lexsort((target[lower], topology.source[lower]))]


def in_one_phase(topology: Topology) -> Topology:
    """The same graph for cells that all live at once: one colour, cells in their own order."""
    cells = len(topology.order)
    return topology._replace(
        colour=np.zeros(cells, np.uint16), order=np.arange(cells, dtype=np.int64), phase=np.array([0, cells], np.int64)
    )


def _check_couplers(count: int) -> None:
    if count > COUPLERS_MAX:
        raise ConfigError(f"fabric.topology: {count} couplers; at most {COUPLERS_MAX}")


def _shape(fabric: Fabric) -> tuple[int, NDArray[np.int64], NDArray[np.int16]]:
    """Cells, (n, 2) coupled pairs, positions."""
    match fabric.topology:
        case Dense(cells=n):
            pairs = np.stack(np.triu_indices(n, 1), axis=1)
            return n, pairs, _square(n)
        case Bipartite(visible=v, hidden=h):
            return _layered((v, h), lateral=False)
        case Layered(layers=sizes, lateral=lateral):
            return _layered(sizes, lateral)
        case Hierarchical() as tree:
            return _hierarchical(tree)
        case SmallWorld() as ring:
            _check_couplers(ring.cells * ring.degree)
            return ring.cells, _connected(ring), _serpentine(ring.cells)
        case Grid() as grid:
            return grid.width * grid.height, _grid_pairs(grid), _lattice(grid.width, grid.height)
        case Edges(cells=n, pairs=listed):
            return n, _checked(np.array(listed, np.int64).reshape(-1, 2), n), _square(n)


def _checked(pairs: NDArray[np.int64], cells: int) -> NDArray[np.int64]:
    for k, (i, j) in enumerate(pairs.tolist()):
        if not (0 <= i < cells and 0 <= j < cells):
            raise ConfigError(f"fabric.topology.pairs.{k}: ({i}, {j}) names a cell outside 0..{cells - 1}")
        if i == j:
            raise ConfigError(f"fabric.topology.pairs.{k}: ({i}, {j}) couples a cell to itself")
    low = np.sort(pairs, axis=1)
    if len(np.unique(low, axis=0)) != len(low):
        raise ConfigError("fabric.topology.pairs: a pair is listed twice")
    return low


def _lattice(width: int, height: int) -> NDArray[np.int16]:
    y, x = np.divmod(np.arange(width * height), width)
    return np.stack([x, y], axis=1).astype(np.int16)


def _square(cells: int) -> NDArray[np.int16]:
    side = int(np.ceil(np.sqrt(cells)))
    return _lattice(side, side)[:cells]


def _serpentine(cells: int) -> NDArray[np.int16]:
    """As `_square`, every second row from right to left: neighbours on a ring are neighbours on the die."""
    position = _square(cells)
    side = int(position[:, 0].max(initial=0)) + 1
    backwards = position[:, 1] % 2 == 1
    position[backwards, 0] = side - 1 - position[backwards, 0]
    return position


def _layered(sizes: tuple[int, ...], lateral: bool) -> tuple[int, NDArray[np.int64], NDArray[np.int16]]:
    """Cells numbered layer by layer, at (layer, index in it)."""
    _check_couplers(sum(2 * a * b for a, b in pairwise(sizes)) + lateral * sum(n * (n - 1) for n in sizes))
    first = np.concatenate([[0], np.cumsum(sizes)])
    layers = [np.arange(a, b) for a, b in pairwise(first)]
    parts = [np.stack([np.repeat(a, len(b)), np.tile(b, len(a))], axis=1) for a, b in pairwise(layers)]
    if lateral:
        parts += [np.stack(np.triu_indices(len(layer), 1), axis=1) + layer[0] for layer in layers]
    number = np.repeat(np.arange(len(sizes)), sizes)
    position = np.stack([number, np.arange(first[-1]) - first[number]], axis=1).astype(np.int16)
    return int(first[-1]), np.concatenate(parts), position


def _hierarchical(tree: Hierarchical) -> tuple[int, NDArray[np.int64], NDArray[np.int16]]:
    """Cells numbered depth first, so that every block is a range of cells; blocks lie in squares of squares."""
    size, cells = tree.block, tree.block * prod(level.children for level in tree.levels)
    blocks = cells // size
    count = blocks * size * (size - 1)
    for level in tree.levels:
        blocks //= level.children
        count += blocks * level.children * (level.children - 1) * level.ports
    _check_couplers(count)
    cell = np.arange(cells)
    inside = np.stack(np.triu_indices(size, 1), axis=1)
    parts = [(inside[None] + np.arange(0, cells, size)[:, None, None]).reshape(-1, 2)]
    position, side = _square(size)[cell % size].astype(np.int64), ceil(sqrt(size))
    for k, level in enumerate(tree.levels):
        joined = _ports(size, level.children, level.ports, k)
        position += side * _square(level.children)[cell // size % level.children]
        side *= ceil(sqrt(level.children))
        size *= level.children
        parts.append((joined[None] + np.arange(0, cells, size)[:, None, None]).reshape(-1, 2))
    return cells, np.concatenate(parts), position.astype(np.int16)


def _ports(size: int, children: int, ports: int, shift: int) -> NDArray[np.int64]:
    """(n, 2) pairs that join sibling blocks of `size` cells; docs/mapping.md, "Hierarchical"."""
    a, b = np.triu_indices(children, 1)
    t, a, b = np.repeat(np.arange(ports), len(a)), np.tile(a, ports), np.tile(b, ports)
    needed = ports * (children - 1)

    def cell(block: NDArray[np.int64], sibling: NDArray[np.int64]) -> NDArray[np.int64]:
        port = t * (children - 1) + sibling - (sibling > block)
        return block * size + (port * size // needed + shift) % size

    return np.stack([cell(a, b), cell(b, a)], axis=1)


def _connected(ring: SmallWorld) -> NDArray[np.int64]:
    """Pairs of the first of ATTEMPTS graphs that hangs together."""
    for attempt in range(ATTEMPTS):
        pairs = rewired(ring.cells, ring.degree, ring.rewiring, ring.seed, attempt)
        row, _, source = _rows(ring.cells, pairs)
        if np.count_nonzero(_distances(row, source) == 0) == 1:
            return pairs
    said = f"degree {ring.degree}, rewiring {ring.rewiring:g}, seed {ring.seed}"
    raise ConfigError(f"fabric.topology: none of {ATTEMPTS} graphs of {said} is connected; raise degree or lower rewiring")


def _grid_pairs(grid: Grid) -> NDArray[np.int64]:
    offsets = {d for a, b in grid.rules for d in ((a, b), (-b, a), (-a, -b), (b, -a)) if d != (0, 0)}
    y, x = np.divmod(np.arange(grid.width * grid.height), grid.width)
    found = []
    for dx, dy in sorted(offsets):
        ok = (x + dx >= 0) & (x + dx < grid.width) & (y + dy >= 0) & (y + dy < grid.height)
        i = np.flatnonzero(ok)
        j = i + dy * grid.width + dx
        found.append(np.stack([i, j], axis=1)[i < j])
    return np.concatenate(found) if found else np.empty((0, 2), np.int64)


@kernel
def _distances(row: NDArray[np.int64], source: NDArray[np.int64]) -> NDArray[np.int64]:
    """Breadth-first distance of every cell from the least cell of its component."""
    cells = row.size - 1
    distance = np.full(cells, -1, np.int64)
    queue = np.empty(cells, np.int64)
    for start in range(cells):
        if distance[start] >= 0:
            continue
        distance[start] = 0
        queue[0] = start
        head, tail = 0, 1
        while head < tail:
            i = queue[head]
            head += 1
            for e in range(row[i], row[i + 1]):
                j = source[e]
                if distance[j] < 0:
                    distance[j] = distance[i] + 1
                    queue[tail] = j
                    tail += 1
    return distance


def _two_colours(row: NDArray[np.int64], source: NDArray[np.int64], cells: int) -> NDArray[np.uint16] | None:
    """Parity of the breadth-first distance from each component's least cell, or None if the graph is not bipartite."""
    parity = (_distances(row, source) & 1).astype(np.uint16)
    target = np.repeat(np.arange(cells), np.diff(row))
    return None if np.any(parity[target] == parity[source]) else parity


@kernel
def _greedy_colours(row: NDArray[np.int64], source: NDArray[np.int64]) -> NDArray[np.uint16]:
    """The least colour that no neighbour of lesser index has, cells ascending."""
    cells = row.size - 1
    colour = np.zeros(cells, np.uint16)
    taken_by = np.full(cells + 1, -1, np.int64)
    for i in range(cells):
        for e in range(row[i], row[i + 1]):
            if source[e] < i:
                taken_by[colour[source[e]]] = i
        free = 0
        while taken_by[free] == i:
            free += 1
        colour[i] = free
    return colour
