"""What the finder of specifications measures: chips that exist at every point, losses that fall with better hardware."""

from __future__ import annotations

import dataclasses
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("xarray")
pytest.importorskip("matplotlib")
sys.path[:0] = [str(Path(__file__).resolve().parents[2] / folder) for folder in ("tools", "tools/study")]

import specify  # noqa: E402
from specified import APPS  # noqa: E402
from specify import draw, rows_of, toml_of  # noqa: E402

from tsu_apps.specify import Lattice, Specification, find  # noqa: E402
from tsu_apps.specify.lattice import Point  # noqa: E402
from tsu_emu.config import load  # noqa: E402

GOOD: Point = {"bits": 9, "mismatch": 0.05, "trim_bits": 8, "interval_s": 100}


@pytest.mark.parametrize("name", APPS)
def test_every_point_has_a_price_and_the_ends_are_chips(name: str) -> None:
    app = APPS[name]
    lattice = Lattice(app.options(), app.cost)
    assert len(lattice) == 576
    for place in (lattice.places[0], lattice.places[-1]):
        point = lattice.point(place)
        chip = load(app.config, {key: str(value) for key, value in app.changes(point).items()})
        assert chip.coupling.dac.bits == point["bits"]
        assert chip.trim.bits == point["trim_bits"]
        assert chip.cell.slope_sigma == point["mismatch"]  # type: ignore[union-attr]


def test_the_six_cells_lose_by_every_option() -> None:
    """Two dies each, the same for all: half as much again and more with one option at its cheap end."""
    app = APPS["six"]
    dies = [app.one(GOOD, seed) for seed in (1, 2)]
    good = np.mean(dies)
    assert 0 < good < 0.03
    for worse in ({"bits": 5}, {"trim_bits": 0}, {"interval_s": 100_000}):
        assert np.mean([app.one(GOOD | worse, seed) for seed in (1, 2)]) > 1.5 * good, worse
    study = app.study(seed=1)
    assert dict(GOOD) in study.points
    assert study.measure(GOOD, 2) == {"loss": dies[1]}


@pytest.fixture(scope="module")
def found() -> Specification:
    """By a loss that is worked out, with a little noise of dies."""
    app = APPS["six"]

    def losses(point: Point, dies: Sequence[int]) -> list[float]:
        mean = 2.0 ** -point["bits"] + 0.2 * point["mismatch"] * 2.0 ** (-point["trim_bits"] / 2)
        return [mean * (1.0 + 0.01 * (die % 7)) for die in dies]

    return find(Lattice(app.options(), app.cost), losses, 0.015)


def test_what_is_shown_is_what_was_found(found: Specification) -> None:
    app = APPS["six"]
    rows = {row.name: row for row in rows_of(app, found, 0.015)}
    assert all(rows[name].value == value for name, value in found.point.items())
    assert rows["its bound, on fresh dies"].ok
    cheaper = [row for name, row in rows.items() if name.startswith("cheaper")]
    assert len(cheaper) == len(found.neighbours) > 0
    assert all(row.ok for row in cheaper)
    text = toml_of(app, found)
    assert tomllib.loads(text)["trim"]["bits"] == found.point["trim_bits"]
    assert f"each {found.point['interval_s']:g} s" in text
    assert len(draw(app, found, 0.015).axes) == 1


@pytest.mark.parametrize("wrong", [("--loss", "0"), ("--loss", "nan"), ("--loss", ".1", "--workers", "-1")])
def test_the_program_refuses_what_is_no_loss(wrong: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as end:
        specify.main(wrong)
    assert end.value.code == 2


MEASURED: list[int] = []


def measured(point: Point, die_seed: int) -> dict[str, float]:
    MEASURED.append(die_seed)
    return {"loss": 0.5 + 0.01 * (die_seed % 7)}


def test_the_program_says_what_is_best_if_nothing_does_and_measures_no_die_twice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(APPS, "six", dataclasses.replace(APPS["six"], measure=measured))
    given = ("--loss", ".1", "--workers", "0", "--store", str(tmp_path))
    for _ in range(2):
        assert specify.main(given) == 1
        said = capsys.readouterr()
        assert "a loss of 0.1 is not reached: the dearest of all has 0.5" in said.err
        assert said.out.startswith("bits 10, mismatch 0.025, trim_bits 9, interval_s 100: cost")
    assert len(MEASURED) == len(set(MEASURED)) == 6
