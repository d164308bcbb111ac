"""What tests of studies share."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import study_tasks
from tsu_apps.study import Axis, Fleet, Quantity, Results, Study, run

QUANTITIES = [Quantity("x", "kT", "a deviate"), Quantity("more", dims={"part": 3})]


def study(measure: Callable[..., Any] = study_tasks.normal, **changes: Any) -> Study:
    """Three means, eight dies."""
    given = Study("normal", "Deviates", measure, QUANTITIES, [Axis("mean", (1.0, 2.0, 3.0), "kT")], dies=8, seed=5)
    return dataclasses.replace(given, **changes)


def serial(tmp_path: Path, of: Study) -> Results:
    """Measured in this process."""
    return run(of, Fleet(workers=0), tmp_path / "serial")


def paths() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(p) for p in sys.path if p)}
