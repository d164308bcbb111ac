"""ferrotherm: one simulation per chain; several chains share the threads by halves, one chain is split by its own `threads`."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import ferrotherm
import numpy as np
from loop import Arrays, Sampler, serve


def simulation(problem: Arrays, seed: int) -> ferrotherm.Sim:
    """A chain in a random state."""
    model = ferrotherm.Model(len(problem["b"]))
    model.couple_many(zip(problem["i"].tolist(), problem["j"].tolist(), problem["w"].tolist(), strict=True))
    for k, b in enumerate(problem["b"].tolist()):
        model.bias(k, b)
    made = model.build(1.0, seed)
    made.spins = np.random.default_rng(seed).choice([-1, 1], len(problem["b"])).tolist()
    return made


def prepare(problem: Arrays, options: dict) -> Sampler:
    """Arrays i, j, w, b; options chains, sweeps, seed, threads."""
    chains = [simulation(problem, options["seed"] + k) for k in range(options["chains"])]
    threads = options["threads"]
    pool = ThreadPoolExecutor(threads)

    def share(k: int, sweeps: int) -> None:
        for chain in chains[k::threads]:
            chain.sweep(sweeps)

    def sampler(sweeps: int) -> tuple[float, np.ndarray]:
        begin = time.perf_counter()
        if len(chains) == 1:
            chains[0].sweep(sweeps, threads)
        else:
            list(pool.map(share, range(threads), [sweeps] * threads))
        seconds = time.perf_counter() - begin
        return seconds, np.array([chain.numpy() for chain in chains], np.int8)

    return sampler


serve("ferrotherm", prepare)
