"""Graphs: their size, their colours, and that a colouring is one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from serving import config
from tsu_emu.topology import Topology, build

Z1 = [[1, 0], [2, 1], [2, 3], [4, 1]]


def made(topology: dict[str, Any]) -> Topology:
    return build(config(topology).fabric)


GRAPHS: dict[str, tuple[dict[str, Any], int, int, int]] = {
    "dense": ({"kind": "dense", "cells": 7}, 7, 42, 7),
    "bipartite": ({"kind": "bipartite", "visible": 5, "hidden": 3}, 8, 30, 2),
    "path": ({"kind": "edges", "cells": 4, "pairs": [[2, 3], [0, 1], [1, 2]]}, 4, 6, 2),
    "triangle and a loose cell": ({"kind": "edges", "cells": 4, "pairs": [[0, 1], [1, 3], [0, 3]]}, 4, 6, 3),
    "no couplers": ({"kind": "edges", "cells": 5, "pairs": []}, 5, 0, 1),
    "king's graph": ({"kind": "grid", "width": 4, "height": 3, "rules": [[1, 0], [1, 1]]}, 12, 58, 4),
    "one cell": ({"kind": "dense", "cells": 1}, 1, 0, 1),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_size_and_colours(name: str) -> None:
    topology, cells, couplers, colours = GRAPHS[name]
    t = made(topology)
    assert (len(t.order), len(t.source), len(t.phase) - 1) == (cells, couplers, colours)
    assert 2 * len(t.pair_i) == couplers


@pytest.mark.parametrize("name", [*GRAPHS, "z1"])
def test_no_cell_hears_its_own_colour_and_hearing_is_mutual(name: str) -> None:
    t = made({"kind": "grid", "width": 20, "height": 17, "rules": Z1} if name == "z1" else GRAPHS[name][0])
    target = np.repeat(np.arange(len(t.order)), np.diff(t.row))
    source = t.source.astype(np.int64)
    assert np.all(t.colour[target] != t.colour[source])
    assert set(zip(target.tolist(), source.tolist(), strict=True)) == set(zip(source.tolist(), target.tolist(), strict=True))
    assert all(np.all(np.diff(source[a:b]) > 0) for a, b in zip(t.row[:-1], t.row[1:], strict=True))
    upper = source > target
    assert np.array_equal(t.pair_i, target[upper])
    assert np.array_equal(t.pair_j, source[upper])


def test_a_z1_like_grid_has_degree_16_inside_and_two_colours() -> None:
    t = made({"kind": "grid", "width": 20, "height": 20, "rules": Z1})
    degree = np.diff(t.row).reshape(20, 20)
    assert np.all(degree[4:-4, 4:-4] == 16)
    assert degree.min() < 16
    assert len(t.phase) == 3
    assert np.array_equal(t.colour.reshape(20, 20), np.add.outer(np.arange(20), np.arange(20)) % 2)


def test_the_sweep_order_goes_by_colour_then_cell() -> None:
    t = made(GRAPHS["king's graph"][0])
    assert np.array_equal(t.order, sorted(range(12), key=lambda i: (t.colour[i], i)))
