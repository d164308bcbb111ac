"""The coupler graph: CSR order, colours, ranks and pairs; docs/arithmetic.md, "Order of things"."""

from __future__ import annotations

from dataclasses import dataclass

from tsu_emu.config import Bipartite, ChipConfig, Dense, Grid

Position = tuple[int, int]


@dataclass(frozen=True)
class Graph:
    """Cells and directed couplers.

    row, source : couplers in CSR order; those that drive cell i are row[i] .. row[i + 1] - 1
    target : the cell that each coupler drives
    rank : place of each cell in the sweep order
    pairs : (target, source) of each coupler whose source exceeds its target
    position : x, y of each cell of a grid, None for other kinds
    """

    cells: int
    row: list[int]
    source: list[int]
    target: list[int]
    colour: list[int]
    colours: int
    rank: list[int]
    pairs: list[tuple[int, int]]
    position: list[Position] | None


def _grid_neighbours(topology: Grid) -> list[set[int]]:
    """Cell x, y has index y * width + x."""
    neighbours = []
    for y in range(topology.height):
        for x in range(topology.width):
            near = {step for a, b in topology.rules for step in ((a, b), (-b, a), (-a, -b), (b, -a))}
            places = [(x + dx, y + dy) for dx, dy in near]
            inside = [(u, v) for u, v in places if 0 <= u < topology.width and 0 <= v < topology.height]
            neighbours.append({v * topology.width + u for u, v in inside})
    return neighbours


def _neighbours(config: ChipConfig) -> list[set[int]]:
    topology = config.fabric.topology
    if isinstance(topology, Dense):
        return [set(range(topology.cells)) - {i} for i in range(topology.cells)]
    if isinstance(topology, Bipartite):
        visible, hidden = set(range(topology.visible)), set(range(topology.visible, topology.visible + topology.hidden))
        return [set(hidden) for _ in visible] + [set(visible) for _ in hidden]
    if isinstance(topology, Grid):
        return _grid_neighbours(topology)
    neighbours: list[set[int]] = [set() for _ in range(topology.cells)]
    for i, j in topology.pairs:
        neighbours[i].add(j)
        neighbours[j].add(i)
    return neighbours


def _distances(neighbours: list[set[int]]) -> list[int]:
    """Breadth-first distance of each cell from the least cell of its component."""
    distance = [-1] * len(neighbours)
    for start in range(len(neighbours)):
        if distance[start] >= 0:
            continue
        distance[start] = 0
        front = [start]
        while front:
            following = sorted({j for i in front for j in neighbours[i] if distance[j] < 0})
            for j in following:
                distance[j] = distance[front[0]] + 1
            front = following
    return distance


def colour_cells(neighbours: list[set[int]]) -> list[int]:
    """Two colours by parity where they suffice, else greedily."""
    parity = [d % 2 for d in _distances(neighbours)]
    if all(parity[i] != parity[j] for i in range(len(neighbours)) for j in neighbours[i]):
        return parity
    colour: list[int] = []
    for i, near in enumerate(neighbours):
        taken = {colour[j] for j in near if j < i}
        colour.append(next(c for c in range(len(taken) + 1) if c not in taken))
    return colour


def build_graph(config: ChipConfig) -> Graph:
    """The graph of a configuration."""
    neighbours = _neighbours(config)
    cells = len(neighbours)
    row, source, target = [0], [], []
    for i, near in enumerate(neighbours):
        source += sorted(near)
        target += [i] * len(near)
        row.append(len(source))
    colour = colour_cells(neighbours)
    order = sorted(range(cells), key=lambda i: (colour[i], i))
    rank = [order.index(i) for i in range(cells)]
    pairs = [(i, j) for i, j in zip(target, source, strict=True) if j > i]
    topology = config.fabric.topology
    grid = [(i % topology.width, i // topology.width) for i in range(cells)] if isinstance(topology, Grid) else None
    return Graph(cells, row, source, target, colour, max(colour) + 1, rank, pairs, grid)
