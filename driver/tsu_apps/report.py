"""The project's one form of a result: rows with a goal each, and what is needed to get them again, as JSON."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

PACKAGES = ("tsu-driver", "tsu-emu", "numpy")
"""Distributions whose versions every report names, if they are installed."""


@dataclass(frozen=True)
class Row:
    """One measured number.

    name, unit : what it is; unit "" for a pure number
    value : the number
    spread : one standard deviation over repetitions, None for a single measurement
    goal : in words, such as ">= 0.91"; None if there is none
    ok : whether the goal is met; None without one
    """

    name: str
    value: float
    unit: str = ""
    spread: float | None = None
    goal: str | None = None
    ok: bool | None = None

    @classmethod
    def at_least(cls, name: str, value: float, goal: float, unit: str = "", spread: float | None = None) -> Self:
        """A row that is good if value >= goal."""
        return cls(name, value, unit, spread, f">= {goal:g}", value >= goal)

    @classmethod
    def at_most(cls, name: str, value: float, goal: float, unit: str = "", spread: float | None = None) -> Self:
        """A row that is good if value <= goal."""
        return cls(name, value, unit, spread, f"<= {goal:g}", value <= goal)


def versions(*more: str) -> dict[str, str]:
    """Versions of Python, of PACKAGES and of the distributions named; those not installed are left out."""
    found = {"python": platform.python_version()}
    for name in (*PACKAGES, *more):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def write_json(
    path: str | Path,
    rows: Iterable[Row],
    *,
    config: Mapping[str, Any],
    seeds: Mapping[str, int],
    packages: Iterable[str] = (),
) -> None:
    """Write {"rows", "config", "seeds", "versions"} to a file, whose directory is made if need be.

    config : what was run, of JSON values
    seeds : every seed by its name
    packages : distributions to name in "versions" beside PACKAGES
    A value that is NaN or infinite becomes null, which JSON has.
    """
    data = {
        "rows": [{key: _plain(value) for key, value in asdict(row).items()} for row in rows],
        "config": dict(config),
        "seeds": dict(seeds),
        "versions": versions(*packages),
    }
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def format_rows(rows: Iterable[Row]) -> str:
    """The rows as aligned lines of text: name, value, unit, goal and whether it is met."""
    rows = list(rows)
    width = max((len(row.name) for row in rows), default=0) + 2
    lines = []
    for row in rows:
        number = f"{row.value:,.0f}" if float(row.value).is_integer() else f"{row.value:.4g}"
        spread = "" if row.spread is None else f" ± {row.spread:.2g}"
        verdict = "" if row.goal is None else f"goal {row.goal}: {'met' if row.ok else 'MISSED'}"
        lines.append(f"  {row.name:<{width}}{number + spread:>20} {row.unit:<8}{verdict}".rstrip())
    return "\n".join(lines)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.item() if hasattr(value, "item") else value
