"""The loop of a peer's process; runs in the peers' environment and imports nothing of this project."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np

Arrays = dict[str, np.ndarray]
Sampler = Callable[[int], tuple[float, np.ndarray]]
"""Sweeps so many times; seconds of sampling alone, and the states, (chains, cells)."""


def serve(distribution: str, prepare: Callable[[Arrays, dict], Sampler]) -> None:
    """Answer orders until the pipe closes. What the peer prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sampler: Sampler | None = None
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if order["do"] == "prepare":
                begin = time.perf_counter()
                sampler = prepare(dict(np.load(order["problem"])), order["options"])
                sampler(order["options"]["sweeps"])
                answer = {"seconds": time.perf_counter() - begin, "version": version(distribution)}
            else:
                assert sampler is not None
                seconds, states = sampler(order["sweeps"])
                np.save(order["states"], states)
                answer = {"seconds": seconds}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)
