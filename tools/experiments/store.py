"""Results on disk, one file for each case and seed, so that a run that was broken off goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from experiment import Case, Measured


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no JSON value")


class Store:
    """A directory of results. A result is found again if its case has the same function, parameters and seed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _file(self, experiment: str, case: Case, seed: int) -> Path:
        return self._folder / experiment / f"{case.name.replace(' ', '-').replace('/', '-')}-{seed}.json"

    def load(self, experiment: str, case: Case, seed: int) -> Measured | None:
        """What was measured, or None."""
        try:
            data = json.loads(self._file(experiment, case, seed).read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        measured: Measured | None = data["measured"] if data["fingerprint"] == case.fingerprint() else None
        return measured

    def save(self, experiment: str, case: Case, seed: int, measured: Measured, seconds: float) -> None:
        """Whole or not at all: the file appears under its name when it is written."""
        file = self._file(experiment, case, seed)
        file.parent.mkdir(parents=True, exist_ok=True)
        data = {"fingerprint": case.fingerprint(), "seconds": seconds, "measured": dict(measured)}
        part = file.with_suffix(".part")
        part.write_text(json.dumps(data, default=_plain), encoding="utf-8")
        part.replace(file)

    def forget(self, runs: Iterable[tuple[str, Case, int]]) -> None:
        """Drop results, by experiment, case and seed."""
        for experiment, case, seed in runs:
            self._file(experiment, case, seed).unlink(missing_ok=True)
