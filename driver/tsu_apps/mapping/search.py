"""From the graph of a model to an embedding: as it is, by layers, or by a search for chains."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tsu_apps.mapping.embedding import Embedding
from tsu_apps.mapping.graphs import Integers, checked_pairs, pair_keys
from tsu_apps.mapping.layers import by_layers
from tsu_driver import Topology


class NoEmbedding(ValueError):
    """No embedding was found; the message says whether there can be one."""


def embed(
    model_pairs: ArrayLike, chip_topology: Topology, *, variables: int | None = None, seed: int = 0, timeout_s: float = 60.0
) -> Embedding:
    """Place the variables of a model on the cells of a chip so that every pair has a coupler.

    model_pairs : (m, 2) variables; chip_topology : `Chip.topology`
    variables : how many there are; None for one more than the greatest in a pair
    seed, timeout_s : of the search; the same seed gives the same embedding unless the time runs out
    Variable i is cell i where the chip has all those couplers. Else a model in layers goes onto a chip in layers, a cell for a
    variable. Else minorminer searches for chains (Cai, Macready, Roy, arXiv 1406.2741); it is in the extra `embedding`.
    NoEmbedding if there is none or none was found in time; ValueError for what is no graph; ImportError names the extra.
    """
    found = np.asarray(model_pairs)
    count = (int(found.max()) + 1 if found.size else 0) if variables is None else variables
    pairs = checked_pairs(found, count)
    if count < 1:
        raise ValueError("the model has no variables; at least one is expected")
    if count > chip_topology.cells:
        raise NoEmbedding(f"the model has {count} variables, the chip {chip_topology.cells} cells")
    if _is_part(pairs, chip_topology):
        return Embedding(list(np.arange(count)[:, None]), pairs, chip_topology)
    cells = by_layers(pairs, count, chip_topology)
    if cells is not None:
        return Embedding(list(cells[:, None]), pairs, chip_topology)
    return Embedding(_search(pairs, count, chip_topology, seed, timeout_s), pairs, chip_topology)


def _is_part(pairs: Integers, topology: Topology) -> bool:
    """Whether the chip has a coupler for each pair of cells."""
    return bool(np.isin(pair_keys(pairs, topology.cells), pair_keys(topology.pairs.astype(np.int64), topology.cells)).all())


def _search(pairs: Integers, count: int, topology: Topology, seed: int, timeout_s: float) -> list[Integers]:
    """Chains by minorminer; variables without pairs get the first cells that are left over."""
    if not timeout_s > 0:
        raise ValueError(f"timeout_s = {timeout_s}; a positive number of seconds is expected")
    chains = _minorminer().find_embedding(
        pairs.tolist(), topology.pairs.tolist(), random_seed=seed & 0x7FFFFFFF, timeout=timeout_s, threads=1
    )
    coupled = np.unique(pairs)
    if not chains:
        size = f"{count} variables and {len(pairs)} pairs on {topology.cells} cells and {len(topology.pairs)} pairs"
        raise NoEmbedding(f"no embedding of {size} was found; another seed, more timeout_s or a larger chip may help")
    used = np.concatenate([chains[v] for v in coupled.tolist()])
    free = np.setdiff1d(np.arange(topology.cells), used)
    loose = np.setdiff1d(np.arange(count), coupled)
    if len(loose) > len(free):
        raise NoEmbedding(f"{len(loose)} variables without pairs are left over, and {len(free)} cells")
    chains |= {v: [c] for v, c in zip(loose.tolist(), free.tolist(), strict=False)}
    return [np.sort(np.array(chains[v], np.int64)) for v in range(count)]


def _minorminer() -> Any:
    try:
        return importlib.import_module("minorminer")
    except ImportError:
        raise ImportError(
            "the model is no part of the chip's graph, and the search for chains needs minorminer: "
            "pip install 'tsu-driver[embedding]'"
        ) from None
