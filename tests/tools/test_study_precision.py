"""The studies of trims, effort, readout and precision see an effect where there is one, and say so when there is none."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("xarray")
pytest.importorskip("h5netcdf")
pytest.importorskip("matplotlib")
sys.path[:0] = [str(Path(__file__).resolve().parents[2] / folder) for folder in ("tools", "tools/study")]

import effort  # noqa: E402
import precision  # noqa: E402
import readout  # noqa: E402
import trims  # noqa: E402

from tsu_apps.study import Fleet, run  # noqa: E402


def small(study: Any, folder: Path, dies: int, **values: tuple[Any, ...]) -> Any:
    """The dataset of a study at some values of its axes."""
    axes = [dataclasses.replace(axis, values=values.get(axis.name, axis.values)) for axis in study.axes]
    results = run(dataclasses.replace(study, axes=axes, dies=dies), Fleet(workers=0), folder)
    assert not results.failures
    return results.data


def failing(rows: Any) -> list[str]:
    return [row.name for row in rows if row.ok is False]


def test_fine_trims_that_reach_leave_good_cells(tmp_path: Path) -> None:
    """One die, 16 cells. With 10 bits over .8 kT a step is .0016 kT; with 5 over 1.6 it is .1, of which .2 is within .01 kT, 3 of
    16. Where both ends are exchanged both goals are missed."""
    data = small(trims.STUDY, tmp_path, 1, bits=(5, 10), range=(0.8, 1.6))
    assert not failing(trims.judge(data))
    assert float(abs(data["before"]).mean()) > 0.08
    assert float(trims.shares(data)[0].sel(bits=10, range=0.8).mean()) > 0.9
    swapped = data.copy()
    swapped["left"] = data["left"].isel(bits=[1, 0]).assign_coords(bits=data["bits"])
    assert len(failing(trims.judge(swapped))) == 2
    assert trims.draw(data).keys() == {"trims"}


def test_the_arithmetic_of_steps_is_that_of_rounding() -> None:
    """200,000 offsets rounded to the steps that there are: shares within 5 standard errors of .0011, and far from those of
    trims that reach half as far."""
    offsets = np.random.default_rng(1).normal(0.0, trims.SIGMA, 200_000)
    for bits, reach in ((5, 0.4), (7, 0.4), (8, 0.2)):
        step, half = 2.0 * reach / 2.0**bits, 2 ** (bits - 1)
        left = offsets - step * np.clip(np.rint(offsets / step), -half, half - 1)
        share = np.mean(abs(left) <= trims.GOOD)
        assert abs(share - trims.expected(bits, reach)) < 0.0056
        assert abs(share - trims.expected(bits, reach / 2)) > 0.02


def test_more_effort_leaves_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two dies; six times the samples leave .41 where noise is all that is left. Where all efforts leave the same it is told."""
    monkeypatch.setattr(effort, "FRESH", 1.0)
    data = small(effort.STUDY, tmp_path, 2, chip=("six",), effort=(0.02, 0.12))
    assert not failing(effort.judge(data))
    assert float(data["seconds_of_chip"].isel(effort=1).mean()) > 2 * float(data["seconds_of_chip"].isel(effort=0).mean())
    same = data.copy()
    for name in effort.LEFT:
        same[name] = data[name].isel(effort=0).broadcast_like(data[name]).transpose(*data[name].dims)
    assert len(failing(effort.judge(same))) == 3
    assert effort.draw(data).keys() == {"effort"}


def test_a_readout_is_told_from_a_chip_that_errs(tmp_path: Path) -> None:
    """One die; where both chips err as the typical one, nothing is told."""
    data = small(readout.STUDY, tmp_path, 1, temperature=(2.0**-6,), bits=(8, 14))
    assert not failing(readout.judge(data))
    assert float(data["error"].sel(chip="typical").min()) > 5 * float(data["error"].sel(chip="converters").max())
    same = data.copy()
    same["error"] = data["error"].sel(chip="typical").broadcast_like(data["error"]).transpose(*data["error"].dims)
    assert len(failing(readout.judge(same))) >= 2
    assert readout.draw(data).keys() == {"readout"}


def test_bits_mismatch_and_heat_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two dies at the ends of every axis, digits by a made-up chip that loses a nat a missing bit."""

    def made_up(chip: Any, hotter: float) -> tuple[float, float]:
        return -20.0 + chip.capabilities.coupling_bits - hotter, 0.9

    monkeypatch.setattr(precision, "deployed", made_up)
    data = small(precision.STUDY, tmp_path, 2, bits=(4, 8, 12), mismatch=(0.0, 0.1))
    assert not failing(precision.judge(data))
    same = data.copy()
    for name, best in (("distance", {"bits": 12, "mismatch": 0.0, "temperature_error": 0.0}), ("nats", {"bits": 12})):
        same[name] = data[name].sel(best).broadcast_like(data[name]).transpose(*data[name].dims)
    assert len(failing(precision.judge(same))) == 4
    assert precision.draw(data).keys() == {"precision"}
