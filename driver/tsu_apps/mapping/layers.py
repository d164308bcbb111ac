"""Models in layers on chips in layers: one cell for each variable, no search.

Where each layer is fully coupled to the next and to nothing else, it does not matter which cell of a layer a variable gets. So
only layers have to be found: cells that hear the same cells are in one.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tsu_apps.mapping.graphs import Integers, components
from tsu_driver import Topology

LAYERS_MAX = 256
"""More kinds of neighbourhoods are not layers."""


def by_layers(pairs: Integers, variables: int, topology: Topology) -> Integers | None:
    """(variables,) cell of each; None if the chip is not in layers, or the model does not fit them.

    A chip of two layers takes any model that two colours can colour; three layers are two, the outer ones being one. A chip of
    more takes a model of fully coupled layers, onto layers that follow one another, in either direction.
    """
    chip = layers(topology.pairs.astype(np.int64), topology.cells)
    if chip is None:
        return None
    if len(chip) == 2:
        sides = _two_sides(pairs, variables, len(chip[0]), len(chip[1]))
        return None if sides is None else _fill(sides, chip)
    model = layers(pairs, variables) or []
    sizes = np.array([len(layer) for layer in model])
    for offered in (chip, chip[::-1]):
        room = np.array([len(layer) for layer in offered])
        for first in range(len(room) - len(sizes) + 1 if model else 0):
            if np.all(sizes <= room[first : first + len(sizes)]):
                return _fill(model, offered[first : first + len(sizes)])
    return None


def layers(pairs: Integers, nodes: int) -> list[Integers] | None:
    """Nodes of each layer, ascending, from the end with the lesser least node; None if the graph is not fully coupled layers."""
    i, j = pairs.T
    mark = np.random.default_rng(0).integers(1 << 63, size=nodes, dtype=np.uint64)
    heard = np.zeros(nodes, np.uint64)
    np.add.at(heard, i, mark[j])
    np.add.at(heard, j, mark[i])
    kinds, first, kind = np.unique(heard, return_index=True, return_inverse=True)
    count = len(kinds)
    if not 2 <= count <= LAYERS_MAX:
        return None
    near = np.zeros((count, count), bool)
    near[kind[i], kind[j]] = near[kind[j], kind[i]] = True
    ends = np.flatnonzero(near.sum(axis=1) == 1)
    if near.sum() != 2 * (count - 1) or len(ends) != 2:
        return None
    path = [int(ends[np.argmin(first[ends])])]
    for _ in range(count - 1):
        near[:, path[-1]] = False
        path += np.flatnonzero(near[path[-1]]).tolist()
    found = [np.flatnonzero(kind == k) for k in path]
    return found if len(pairs) == sum(len(a) * len(b) for a, b in pairwise(found)) else None


def _two_sides(pairs: Integers, variables: int, left: int, right: int) -> list[Integers] | None:
    """Variables of two sides that hold at most `left` and `right` of them, every pair across; None if there are none such."""
    cover = components(np.concatenate([pairs + [0, variables], pairs + [variables, 0]]), 2 * variables)
    here, there = cover[:variables], cover[variables:]
    if (here == there).any():
        return None
    part, other = np.minimum(here, there), here > there
    coupled = np.bincount(pairs.ravel(), minlength=variables) > 0
    parts, number = np.unique(part[coupled], return_inverse=True)
    sizes = np.stack([np.bincount(number[other[coupled] == side], minlength=len(parts)) for side in (False, True)], axis=1)
    turned = _turned(sizes, left, right)
    if turned is None:
        return None
    side = other[coupled] ^ turned[number]
    numbers, loose = np.flatnonzero(coupled), np.flatnonzero(~coupled)
    free = left - np.count_nonzero(~side)
    if len(loose) - free > right - np.count_nonzero(side):
        return None
    return [np.concatenate([numbers[~side], loose[:free]]), np.concatenate([numbers[side], loose[free:]])]


def _turned(sizes: Integers, left: int, right: int) -> NDArray[np.bool_] | None:
    """(parts,) which parts of the model go the other way round so that both sides fit; sizes (parts, 2)."""
    reached = np.zeros((len(sizes) + 1, left + 1), bool)
    reached[0, 0] = True
    for k, (a, b) in enumerate(sizes.tolist()):
        for size in (a, b):
            reached[k + 1, size:] |= reached[k, : max(0, left + 1 - size)]
    good = np.flatnonzero(reached[-1])
    good = good[good >= sizes.sum() - right]
    if not len(good):
        return None
    turned, held = np.zeros(len(sizes), bool), int(good[-1])
    for k in reversed(range(len(sizes))):
        straight = held - int(sizes[k, 0])
        turned[k] = straight < 0 or not reached[k, straight]
        held -= int(sizes[k, int(turned[k])])
    return turned


def _fill(model: list[Integers], chip: list[Integers]) -> Integers:
    """(variables,) cells: the first ones of each layer."""
    out = np.empty(sum(len(layer) for layer in model), np.int64)
    for variables, cells in zip(model, chip, strict=True):
        out[variables] = cells[: len(variables)]
    return out
