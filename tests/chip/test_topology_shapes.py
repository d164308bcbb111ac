"""Layered, hierarchical and small-world graphs: cell by cell what docs/mapping.md says, and in bulk what they are meant for.

The second constructions here are plain Python, one pair at a time.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reference.noise import threefry
from serving import config
from tsu_emu.config import ConfigError, load
from tsu_emu.small_world import rewired
from tsu_emu.topology import Topology, build

Pairs = set[tuple[int, int]]
TREE = {"kind": "hierarchical", "block": 6, "levels": [{"children": 3, "ports": 3}, {"children": 2, "ports": 5}]}
RING = {"kind": "small-world", "cells": 60, "degree": 6, "rewiring": 0.2, "seed": 5}


def made(topology: dict[str, Any]) -> Topology:
    return build(config(topology).fabric)


def pairs_of(t: Topology) -> Pairs:
    return set(zip(t.pair_i.tolist(), t.pair_j.tolist(), strict=True))


def same(a: Topology, b: Topology) -> bool:
    return all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def by_layers(sizes: list[int], lateral: bool) -> Pairs:
    layer = [k for k, n in enumerate(sizes) for _ in range(n)]
    return {(i, j) for i, j in combinations(range(len(layer)), 2) if layer[j] - layer[i] in ({0, 1} if lateral else {1})}


@pytest.mark.parametrize("lateral", [False, True])
def test_layers_are_coupled_to_their_neighbours_and_to_themselves_if_lateral(lateral: bool) -> None:
    sizes = [4, 3, 1, 5]
    t = made({"kind": "layered", "layers": sizes, "lateral": lateral})
    assert pairs_of(t) == by_layers(sizes, lateral) != by_layers(sizes, not lateral)
    assert t.position.tolist() == [[k, i] for k, n in enumerate(sizes) for i in range(n)]
    assert (len(t.phase) - 1 == 2) is not lateral


def test_two_layers_are_the_bipartite_graph() -> None:
    two = made({"kind": "bipartite", "visible": 5, "hidden": 3})
    assert same(two, made({"kind": "layered", "layers": [5, 3]}))
    assert not same(two, made({"kind": "layered", "layers": [3, 5]}))
    assert same(
        made({"kind": "dense", "cells": 8})._replace(position=two.position),
        made({"kind": "layered", "layers": [5, 3], "lateral": True}),
    )


def by_tree(block: int, levels: list[dict[str, int]]) -> Pairs:
    """Pairs of a hierarchy, as docs/mapping.md says."""
    size, cells = block, block * int(np.prod([level["children"] for level in levels]))
    found = {(first + i, first + j) for first in range(0, cells, block) for i, j in combinations(range(block), 2)}
    for k, level in enumerate(levels):
        c, ports = level["children"], level["ports"]
        for parent in range(0, cells, c * size):
            for a, b in combinations(range(c), 2):
                for t in range(ports):
                    q_a, q_b = t * (c - 1) + b - 1, t * (c - 1) + a
                    at_a, at_b = ((q * size // (ports * (c - 1)) + k) % size for q in (q_a, q_b))
                    found.add((parent + a * size + at_a, parent + b * size + at_b))
        size *= c
    return found


def test_a_tree_joins_the_cells_that_the_page_says() -> None:
    t = made(TREE)
    pairs = by_tree(TREE["block"], TREE["levels"])
    assert pairs_of(t) == pairs
    assert len(pairs) == 6 * 15 + 2 * 3 * 3 + 5
    assert pairs_of(made({**TREE, "levels": TREE["levels"][::-1]})) != pairs


def test_no_cell_bears_two_ports_of_a_level_and_blocks_are_squares_on_the_die() -> None:
    t = made(load("hierarchical-256").fabric.topology.model_dump())
    pairs = np.stack([t.pair_i, t.pair_j], axis=1).astype(np.int64)
    inside = pairs // 16
    low = inside[:, 0] != inside[:, 1]
    upper = pairs[:, 0] // 64 != pairs[:, 1] // 64
    for ports in (pairs[low & ~upper], pairs[upper]):
        assert np.bincount(ports.ravel()).max() == 1
    assert (np.count_nonzero(low & ~upper), np.count_nonzero(upper), len(pairs)) == (4 * 6 * 4, 6 * 8, 2064)
    assert len(np.unique(t.position, axis=0)) == 256
    for size, side in ((16, 4), (64, 8), (256, 16)):
        blocks = t.position.reshape(-1, size, 2)
        assert np.all(blocks.max(axis=1) - blocks.min(axis=1) == side - 1)


def by_rewiring(cells: int, degree: int, rewiring: float, seed: int, attempt: int) -> Pairs:
    """Pairs of a small world, as docs/mapping.md says."""
    end = {(i, lap): (i + lap + 1) % cells for i in range(cells) for lap in range(degree // 2)}
    for lap in range(degree // 2):
        for i in range(cells):
            for draw in range(64):
                word, pick, _, _ = threefry((seed & 0xFFFFFFFF, seed >> 32, 65536, 0), (i, lap, attempt, draw))
                if draw == 0 and word >= round(rewiring * 2**32):
                    break
                j = pick * cells >> 32
                if j != i and not any({i, j} == {a, b} for (a, _), b in end.items()):
                    end[i, lap] = j
                    break
    return {(min(i, j), max(i, j)) for (i, _), j in end.items()}


@pytest.mark.parametrize(
    "change", [{}, {"seed": 2**40 + 3}, {"rewiring": 1.0, "degree": 8, "cells": 24}, {"degree": 6, "cells": 7}]
)
def test_a_ring_is_rewired_as_the_page_says(change: dict[str, Any]) -> None:
    ring = RING | change
    pairs = by_rewiring(ring["cells"], ring["degree"], ring["rewiring"], ring["seed"], 0)
    assert pairs_of(made(ring)) == pairs
    assert len(pairs) == ring["cells"] * ring["degree"] // 2


def test_a_graph_that_falls_apart_is_drawn_again_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Single links, half of them rewired: the first attempt that hangs together is taken, here the second."""
    ring = {"kind": "small-world", "cells": 12, "degree": 2, "rewiring": 0.5, "seed": 2}
    first, second = (by_rewiring(12, 2, 0.5, 2, attempt) for attempt in (0, 1))
    assert not connected(first, 12)
    assert connected(second, 12)
    assert pairs_of(made(ring)) == second
    monkeypatch.setattr("tsu_emu.topology.ATTEMPTS", 1)
    with pytest.raises(ConfigError, match=r"none of 1 graphs of degree 2, rewiring 0\.5, seed 2 is connected; raise degree"):
        made(ring)


def connected(pairs: Pairs, cells: int) -> bool:
    reached, before = {0}, 0
    while len(reached) > before:
        before = len(reached)
        reached |= {k for i, j in pairs for k in (i, j) if i in reached or j in reached}
    return before == cells


def test_without_rewiring_a_ring_is_a_ring_and_lies_along_a_serpentine() -> None:
    t = made({**RING, "rewiring": 0.0})
    assert pairs_of(t) == {(min(i, j), max(i, j)) for i in range(60) for d in (1, 2, 3) for j in [(i + d) % 60]}
    assert np.all(np.abs(np.diff(t.position, axis=0)).sum(axis=1) == 1)


CELLS, DEGREE = 4096, 6


def distances(rewiring: float) -> NDArray[np.int64]:
    """How far apart on the ring the ends of each pair are."""
    i, j = rewired(CELLS, DEGREE, rewiring, 3, 0).T
    away = np.abs(i - j)
    return np.minimum(away, CELLS - away)


def moved_fairly(away: NDArray[np.int64], p: float) -> bool:
    """Within 5 standard errors of a binomial: the fraction moved; a new end may fall within the old reach once in 700."""
    n = len(away)
    return bool(abs(np.mean(away > DEGREE // 2) - p) < 5 * np.sqrt(p * (1 - p) / n) + p / 700)


def test_so_many_pairs_are_rewired_as_the_probability_says() -> None:
    assert moved_fairly(distances(0.1), 0.1)
    assert not moved_fairly(distances(0.12), 0.1)
    assert not moved_fairly(distances(0.0), 0.1)


def evenly(away: NDArray[Any]) -> bool:
    """Chi squared of 16 bins of ring distance beyond the old reach stays below 15 + 5 sqrt(2 x 15)."""
    counts = np.histogram(away[away > DEGREE // 2], bins=16, range=(DEGREE // 2 + 0.5, CELLS / 2 + 0.5))[0]
    mean = counts.mean()
    return bool(((counts - mean) ** 2).sum() / mean < 15 + 5 * np.sqrt(30))


def test_new_ends_are_anywhere() -> None:
    away = distances(1.0)
    assert evenly(away)
    assert not evenly(0.96 * away)


def clustering(t: Topology) -> float:
    """Closed share of the paths of two couplers."""
    n = len(t.order)
    near = np.zeros((n, n))
    near[t.pair_i, t.pair_j] = near[t.pair_j, t.pair_i] = 1
    paths = near @ near
    return float((paths * near).sum() / (paths.sum() - np.trace(paths)))


def law(k: int, p: float) -> float:
    """Barrat and Weigt, Eur. Phys. J. B 13 (2000) 547, eq. 4, for paths through cells whose numbers of couplers scatter."""
    scatter = k / 2 * p * (2 - p)
    return 3 * (k - 2) / (4 * (k - 1)) * (1 - p) ** 3 / (1 + scatter / (k * (k - 1)))


def test_neighbours_know_each_other_as_theory_says() -> None:
    """The share scatters by .0096 over graphs of 1,024 cells at p = .1; four are averaged, and 4 standard errors allowed."""
    shares = [clustering(made({**RING, "cells": 1024, "rewiring": 0.1, "seed": s})) for s in range(4)]
    error = 0.0096 / 2
    assert abs(np.mean(shares) - law(6, 0.1)) < 4 * error
    assert abs(np.mean(shares) - law(6, 0.13)) > 4 * error
    assert clustering(made({**RING, "cells": 1024, "rewiring": 0.0})) == pytest.approx(law(6, 0.0), abs=1e-12)


@pytest.mark.parametrize(
    ("topology", "said"),
    [
        ({"kind": "layered", "layers": [4]}, r"fabric\.topology\.layers"),
        ({"kind": "layered", "layers": [4, 0]}, r"fabric\.topology\.layers\.1"),
        ({"kind": "layered", "layers": [32767] * 129}, r"4226943 cells; at most 4194304"),
        ({**TREE, "levels": []}, r"fabric\.topology\.levels"),
        (
            {**TREE, "levels": [{"children": 3, "ports": 4}]},
            r"levels\.0: 4 ports to each of 2 siblings are 8 cells; a block below has 6",
        ),
        ({**TREE, "levels": [{"children": 256, "ports": 1}] * 8}, r"levels\.0: 1 ports to each of 255 siblings"),
        ({**TREE, "block": 4096, "levels": [{"children": 64, "ports": 1}] * 3}, r"1073741824 cells; at most 4194304"),
        ({**RING, "degree": 5}, r"fabric\.topology\.degree"),
        ({**RING, "degree": 60}, r"degree 60: a ring of 60 cells has at most 58"),
        ({**RING, "rewiring": 1.5}, r"fabric\.topology\.rewiring"),
        ({**RING, "seed": -1}, r"fabric\.topology\.seed"),
    ],
)
def test_what_is_no_such_graph_is_refused(topology: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config(topology)


@pytest.mark.parametrize(
    "topology",
    [
        {"kind": "layered", "layers": [32767, 32767]},
        {"kind": "layered", "layers": [4096, 2], "lateral": True},
        {"kind": "hierarchical", "block": 4096, "levels": [{"children": 2, "ports": 1}]},
        {**RING, "cells": 1 << 22, "degree": 256},
    ],
)
def test_too_many_couplers_are_refused_before_they_are_made(topology: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"couplers; at most 16777216"):
        made(topology)
