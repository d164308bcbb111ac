"""Functions for studies, importable by their workers: good ones, and ones that go wrong."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

Point = Mapping[str, Any]


def normal(point: Point, die_seed: int) -> dict[str, Any]:
    """A deviate of mean `mean`, and three more."""
    rng = np.random.default_rng(die_seed)
    return {"x": point["mean"] + rng.standard_normal(), "more": rng.standard_normal(3)}


def slow(point: Point, die_seed: int) -> dict[str, Any]:
    """The same, in 30 ms."""
    time.sleep(0.03)
    return normal(point, die_seed)


def slow_and_seen(point: Point, die_seed: int) -> dict[str, Any]:
    """The same; whoever watches the folder sees which process does it."""
    Path(os.environ["STUDY_SEEN"], str(os.getpid())).touch()
    return slow(point, die_seed)


def deadly(point: Point, die_seed: int) -> dict[str, Any]:
    """Kills its process where the mean is 2."""
    if point["mean"] == 2.0:
        os.kill(os.getpid(), signal.SIGKILL)
    return normal(point, die_seed)


def raising(point: Point, die_seed: int) -> dict[str, Any]:
    """Raises where the mean is 2, and gives the wrong shape where it is 3."""
    if point["mean"] == 2.0:
        raise ArithmeticError(f"no {point['mean']}")
    measured = normal(point, die_seed)
    return measured | {"more": [1.0]} if point["mean"] == 3.0 else measured
