"""The published curves are reproduced, and would not be with the effect doubled or off: `tools/run curves` at its full size."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")


def test_every_row_of_the_curves_is_met() -> None:
    spec = importlib.util.spec_from_file_location("curves", Path(__file__).parents[2] / "tools/curves.py")
    assert spec is not None
    assert spec.loader is not None
    curves = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(curves)
    rows, figure = curves.measure()
    assert len(rows) == 7
    assert [row.name for row in rows if not row.ok] == []
    assert len(figure.axes) == 2
