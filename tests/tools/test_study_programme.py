"""The study of the test programme finds what a made-up fleet has, and measures what a chip is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

xr = pytest.importorskip("xarray")
pytest.importorskip("matplotlib")
sys.path[:0] = [str(Path(__file__).resolve().parents[2] / folder) for folder in ("tools", "tools/study")]

import programme  # noqa: E402

from tsu_apps.production import STANDARD, stdf  # noqa: E402

DIES, REPEATABILITY, STATION = 60, 0.05, 0.02


def fleet(noise: float = REPEATABILITY) -> Any:
    """A dataset of dies whose tests scatter by 1 % of their limits, the tester by a tenth of that; cells have offsets of .2 kT,
    which wander by STATION between stations, and are sorted with that noise."""
    rng, stations, repeats, tests = np.random.default_rng(8), 3, programme.REPEATS, len(programme.TESTED)
    middle = np.array([np.mean([x for x in (limit.lower, limit.upper) if np.isfinite(x)]) for limit in STANDARD])
    part = rng.normal(0.0, 0.01, (DIES, 1, 1, tests)) + rng.normal(0.0, 0.001, (DIES, stations, repeats, tests))
    cells = rng.normal(0.0, 0.2, (DIES, 1, programme.CELLS)) + rng.normal(0.0, STATION, (DIES, stations, programme.CELLS))
    sort = cells[:, :, None] + rng.normal(0.0, noise, (DIES, stations, repeats, programme.CELLS))
    return xr.Dataset(
        {
            "value": (("die", "station", "repeat", "test"), middle * (1.0 + part)),
            "chip_time": (("die", "station", "step"), np.full((DIES, stations, len(programme.STEPS)), 0.5)),
            "sort": (("die", "station", "repeat", "cell"), sort),
            "sort_truth": (("die", "station", "cell"), cells),
            "serial_high": (("die", "station"), np.full((DIES, stations), 7.0)),
            "serial_low": (("die", "station"), np.full((DIES, stations), 1.0)),
        },
        {"station": list(programme.STATIONS)},
    )


def test_gauge_and_guard_bands_are_those_of_the_fleet() -> None:
    """2,880 cells, 8,640 pairs of repeats: repeatability within 5 / sqrt(2 x 8640) = 4 %. A sort whose noise is twice what its
    repeats show (as of an error that repeats share) lets more escape than guard bands say."""
    data = fleet()
    rows = {row.name: row for row in programme.judge(data)}
    assert not [name for name, row in rows.items() if row.name.startswith("sort") and row.ok is False]
    assert rows["sort of cells: repeatability"].value == pytest.approx(REPEATABILITY, rel=0.04)
    assert rows["sort of cells: reproducibility"].value == pytest.approx(STATION, rel=0.15)
    assert rows["sort of cells: the same in the cells themselves, by the truth"].value == pytest.approx(STATION, rel=0.05)
    assert programme.gauges(data)["offset-rms"].share == pytest.approx(0.1, rel=0.4)
    data["sort"] = (
        data["sort"] + 3 * REPEATABILITY * np.random.default_rng(9).standard_normal(data["sort_truth"].shape)[:, :, None]
    )
    wrong = [row for row in programme.sort_rows(data) if row.ok is False]
    assert wrong


def test_the_fleet_goes_into_a_file_of_a_tester() -> None:
    """All parts, with limits at which half of each test's values fail."""
    parts = programme.parts_of(fleet())
    assert parts[0].name == "0000000700000001"
    assert sum(parts[3].seconds.values()) == pytest.approx(0.5 * len(programme.STEPS))
    data = stdf.encode(stdf.Lot("lot", "digits-typical", "standard", 1, 2), STANDARD, parts)
    assert data.count(b"offset-rms") > DIES


def test_figures_are_drawn() -> None:
    assert programme.draw(fleet()).keys() == {"programme"}


def test_a_die_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """16 cells, whose offsets in the sort lie 1 / sqrt(512) = .044 kT about the truth, .03 of 1/f noise and couplers beside at
    most; rms over 32 readings within a factor of 1.5."""
    monkeypatch.setattr(programme, "CHANGES", {"fabric.topology.visible": 8, "fabric.topology.hidden": 8})
    monkeypatch.setattr(programme, "EFFORT", 0.1)
    found = programme.measure({"station": 305.0}, 3)
    assert np.isfinite(found["value"][0]).all()
    assert np.isnan(found["value"][1, :4]).all()
    assert np.isfinite(found["value"][1, 4:]).all()
    assert 0.03 < np.sqrt(np.mean((found["sort"] - found["sort_truth"]) ** 2)) < 0.08
    assert (found["chip_time"] > 0).all()
