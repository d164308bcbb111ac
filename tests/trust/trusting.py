"""Modules of tools/trust, for tests."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from tsu_apps.report import Row

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def module(name: str) -> Any:
    """A module of tools/trust."""
    if str(TOOLS) not in sys.path:
        sys.path.append(str(TOOLS))
    return importlib.import_module(f"trust.{name}")


SLOW = 20.0
"""By so much a machine that does other things may delay a reply beyond a figure's goal."""


def missed(rows: list[Row], timed: tuple[str, ...]) -> list[Row]:
    """Rows that miss their goal; those whose name has one of these in it miss it by a factor of SLOW."""
    return [r for r in rows if r.ok is False and not (any(t in r.name for t in timed) and r.value <= SLOW * _bound(r))]


def _bound(row: Row) -> float:
    assert row.goal is not None
    return float(row.goal.split()[1])
