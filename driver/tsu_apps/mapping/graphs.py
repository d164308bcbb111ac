"""Pairs of nodes, whole arrays at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Integers = NDArray[np.int64]


def pair_keys(pairs: Integers, nodes: int) -> Integers:
    """(m,) a number for each of (m, 2) pairs of `nodes` nodes, whichever way round it is named."""
    low, high = np.minimum(pairs[:, 0], pairs[:, 1]), np.maximum(pairs[:, 0], pairs[:, 1])
    return np.asarray(low * nodes + high, np.int64)


def components(pairs: Integers, nodes: int) -> Integers:
    """(nodes,) the least node of each node's connected component; pairs (m, 2)."""
    matrix = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(nodes, nodes))
    _, label = connected_components(matrix, directed=False)
    _, least = np.unique(label, return_index=True)
    return np.asarray(least[label], np.int64)


def checked_pairs(pairs: ArrayLike, variables: int) -> Integers:
    """(m, 2) int64; ValueError names an entry that is no pair of two of the variables, or that is named twice."""
    out = np.asarray(pairs)
    if out.size == 0:
        return np.empty((0, 2), np.int64)
    if out.ndim != 2 or out.shape[1] != 2 or out.dtype.kind not in "iu":
        raise ValueError(f"pairs is {out.dtype} of shape {out.shape}; integers of shape (m, 2) are expected")
    out = out.astype(np.int64)
    outside = ((out < 0) | (out >= variables)).any(axis=1)
    if outside.any():
        at = int(np.argmax(outside))
        raise ValueError(f"pairs[{at}] is {out[at].tolist()}; the model has variables 0 .. {variables - 1}")
    alone = out[:, 0] == out[:, 1]
    if alone.any():
        at = int(np.argmax(alone))
        raise ValueError(f"pairs[{at}] is {out[at].tolist()}; a variable is not coupled to itself")
    keys = pair_keys(out, variables)
    order = np.argsort(keys, kind="stable")
    twice = np.flatnonzero(np.diff(keys[order]) == 0)
    if len(twice):
        first, second = order[twice[0]], order[twice[0] + 1]
        raise ValueError(f"pairs[{first}] and pairs[{second}] are {out[second].tolist()}; each pair is named once")
    return out
