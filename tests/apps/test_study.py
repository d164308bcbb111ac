"""Studies: seeds, results that do not depend on how they came about, workers that die, pages."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import study_tasks

pytest.importorskip("xarray")
pytest.importorskip("h5netcdf")
pytest.importorskip("matplotlib")

from study_helpers import serial, study
from tsu_apps.study import Asking, Axis, Fleet, MeasureFailed, load, mean_error, run
from tsu_apps.study.__main__ import NoStudy, conduct_all, parser, publish, write_rows
from tsu_apps.study.definition import Cell, code_digest
from tsu_apps.study.fleet import BATCH_S, Pace
from tsu_apps.study.task import Outcome, Task, run_batch, work_of

# Seeds


def test_the_seed_of_a_die_follows_from_the_study_and_its_number_alone() -> None:
    """10,000 seeds of 63 bits: two alike have a chance of 5e-12; each bit is set in half of them within 5 sigma = 250."""
    seeds = np.array([study().die_seed(die) for die in range(10_000)], np.uint64)
    assert len(np.unique(seeds)) == len(seeds)
    ones = ((seeds[:, None] >> np.arange(63, dtype=np.uint64)) & np.uint64(1)).sum(axis=0)
    assert np.all(np.abs(ones.astype(np.float64) - 5000) < 250)
    assert seeds.max() < 1 << 63
    assert [study(dies=100, axes=[]).die_seed(die) for die in range(5)] == seeds[:5].tolist()
    assert study(seed=6).die_seed(0) != seeds[0]


def test_deviates_of_dies_are_independent_of_their_neighbours_and_of_another_study() -> None:
    """Correlations of 4,000 pairs lie within 5 / sqrt(4000) = .08; a study beside itself is far outside."""
    x = {
        seed: np.array([study_tasks.normal({"mean": 0.0}, study(seed=seed).die_seed(d))["x"] for d in range(4000)])
        for seed in (5, 6)
    }

    def correlation(a: np.ndarray, b: np.ndarray) -> float:
        return abs(float(np.corrcoef(a, b)[0, 1]))

    assert correlation(x[5][1:], x[5][:-1]) < 0.08
    assert correlation(x[5], x[6]) < 0.08
    assert correlation(x[5], x[5]) > 0.99


def test_what_decides_the_results_is_in_the_fingerprint(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("a")
    base = study(files=[file])
    others = [
        study(files=[file], seed=6),
        study(files=[file], axes=[Axis("mean", (1.0, 2.0))]),
        study(study_tasks.slow, files=[file]),
    ]
    assert len({one.fingerprint() for one in (base, *others)}) == 4
    assert study(files=[file], dies=9, title="other").fingerprint() == base.fingerprint()
    before = base.fingerprint()
    file.write_text("b")
    assert base.fingerprint() != before


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../x"},
        {"dies": 0},
        {"axes": [Axis("x", (1.0,))]},
        {"axes": [Axis("die", (1.0,))]},
        {"axes": [Axis("part", (1.0,))]},
        {"quantities": []},
        {"measure": lambda point, die_seed: {}},
    ],
)
def test_a_study_that_is_none_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        study(**changes)


def test_of_the_code_what_measures_is_in_the_fingerprint(tmp_path: Path) -> None:
    file = tmp_path / "s.py"

    def hashed(text: str) -> str:
        file.write_text(text)
        return code_digest(file, ("judge", "draw"))

    base = hashed("def measure(point, die_seed):\n    return 1\ndef draw(data):\n    return {}\nS = Study('a', dies=1)\n")
    assert (
        hashed("# why\ndef measure(point, die_seed):\n    return  1\ndef draw(data):\n    return 5\nS = Study('a', dies=2)\n")
        == base
    )
    assert hashed("def measure(point, die_seed):\n    return 2\ndef draw(data):\n    return {}\nS = Study('a', dies=1)\n") != base
    assert hashed("def measure(point, die_seed):\n    return 1\nN = 1\nS = Study('a', dies=1)\n") != base


def test_workers_refuse_another_version_of_the_code(tmp_path: Path) -> None:
    task = dataclasses.replace(Task.of(study()), source="0")
    (outcome,) = run_batch(task, work_of(study(), [Cell(0, 0)]))
    assert "has changed since the study began" in outcome.failure


# Results


def test_results_are_labelled_and_survive_their_file(tmp_path: Path) -> None:
    of = study(axes=[Axis("mean", (1.0, 2.0), "kT"), Axis("way", ("up", "down"))])
    results = serial(tmp_path, of)
    data = results.data
    assert data["more"].dims == ("die", "mean", "way", "part")
    seed = int(data["die_seed"][3])
    wanted = study_tasks.normal({"mean": 2.0}, seed)
    assert seed == study().die_seed(3)
    np.testing.assert_array_equal(data["more"].sel(die=3, mean=2.0, way="up"), wanted["more"])
    assert float(data["x"].sel(die=3, mean=2.0, way="down")) == wanted["x"]
    assert (data["x"].attrs["units"], data["mean"].attrs["units"], bool(data["measured"].all())) == ("kT", "kT", True)
    write_rows(tmp_path / "rows.json", [publish(of, results, tmp_path / "out")])
    again = load(tmp_path / "out/normal.nc")
    assert again.identical(data)
    assert {"numpy", "tsu-driver", "xarray"} <= json.loads(again.attrs["versions"]).keys()
    assert json.loads(again.attrs["sources"]).keys() == {"study_tasks.py"}
    assert json.loads((tmp_path / "rows.json").read_text())["config"]["hash"] == results.result_hash


def test_errors_of_means_are_those_of_the_sample() -> None:
    import xarray as xr

    values = np.random.default_rng(1).standard_normal((50, 2))
    values[:10, 1] = np.nan
    mean, error = mean_error(xr.DataArray(values, dims=("die", "k")))
    for k, column in enumerate((values[:, 0], values[10:, 1])):
        np.testing.assert_allclose([mean[k], error[k]], [column.mean(), column.std(ddof=1) / np.sqrt(len(column))])


def test_the_page_stands_alone_and_shows_what_failed(tmp_path: Path) -> None:
    results = serial(tmp_path, study(study_tasks.raising, dies=3))
    assert not publish(study(dies=3), results, tmp_path / "out").ok
    page = (tmp_path / "out/index.html").read_text()
    assert "ArithmeticError: no 2.0" in page
    assert "data:image/png;base64," in page
    assert not any(mark in page for mark in ("http:", "https:", 'src="x', "<script", "<link"))
    assert results.result_hash in page


def test_several_studies_are_run_by_one_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that is good and one with cells that fail: the worst code, all rows in one file, by the study's name, and a directory
    and the number of dies of each. Alone, rows have names of their own."""
    good, bad = study(dies=2), study(study_tasks.raising, dies=4, name="bad")
    out = ["--workers", "0", "--store", f"{tmp_path}/store", "--out", f"{tmp_path}/out", "--json", f"{tmp_path}/rows.json"]
    given = parser("study", "").parse_args(out)

    def told() -> tuple[set[str], dict[str, Any]]:
        data = json.loads((tmp_path / "rows.json").read_text())
        return {row["name"].split(": ")[0] for row in data["rows"]}, data

    assert conduct_all([good], given) == 0
    assert (told()[1]["config"]["dies"], told()[1]["seeds"]) == (2, {"study": 5})
    alone = {row["name"] for row in told()[1]["rows"]}
    assert conduct_all([good, bad], given) == conduct_all([bad, good], given) == 1
    names, data = told()
    assert names == {"normal", "bad"}
    again = {row["name"].removeprefix("normal: ") for row in data["rows"] if row["name"].startswith("normal: ")}
    assert "x, mean = 1.0" in str(again)
    assert again <= alone, "what took time is found again"
    assert [(each["study"], each["dies"]) for each in data["config"]["studies"]] == [("bad", 4), ("normal", 2)]
    assert all((tmp_path / "out" / name / "index.html").is_file() for name in names)
    assert "failed: bad: die 3, mean = 2.0" in capsys.readouterr().err
    with pytest.raises(NoStudy, match="two studies are called bad"):
        conduct_all([bad, good, bad], given)
    given.dies = 0
    with pytest.raises(NoStudy, match="study bad: at least one quantity, one die"):
        conduct_all([bad], given)
    given.dies, given.workers = 1, -1
    with pytest.raises(NoStudy, match="-1 workers; 0, for none but this process, or more"):
        conduct_all([good], given)
    given.workers, given.out, given.store = 0, tmp_path / "rows.json", tmp_path / "unused"
    with pytest.raises(OSError, match=r"rows\.json"):
        conduct_all([good], given)
    assert not given.store.exists(), "nothing was measured"


# Workers


def test_workers_give_what_one_process_gives(tmp_path: Path) -> None:
    wanted = serial(tmp_path, study())
    found = run(study(), Fleet(workers=2), tmp_path / "workers")
    assert found.result_hash == wanted.result_hash
    assert serial(tmp_path, study(seed=6)).result_hash != wanted.result_hash


def test_an_error_is_of_its_cell_alone(tmp_path: Path) -> None:
    results = run(study(study_tasks.raising), Fleet(workers=2), tmp_path)
    assert len(results.failures) == 16
    assert "ArithmeticError: no 2.0" in results.failures["normal: die 3, mean = 2.0"]
    assert "study_tasks.py" in results.failures["normal: die 3, mean = 2.0"]
    assert "more has shape (1,); (3,) is expected" in results.failures["normal: die 7, mean = 3.0"]
    np.testing.assert_array_equal(results.data["measured"].sum("die"), [8, 0, 0])
    good = serial(tmp_path, study()).data
    np.testing.assert_array_equal(results.data["x"].sel(mean=1.0), good["x"].sel(mean=1.0))
    assert np.isnan(results.data["more"].sel(mean=2.0)).all()


def test_what_is_asked_for_is_measured_once_and_kept(tmp_path: Path) -> None:
    """By workers as by none, found again by whoever asks next and by the whole study; what fails is told at the end."""
    wanted = serial(tmp_path, study()).data["x"].sel(mean=2.0).values
    for workers in (2, 0):
        with Asking(study(), Fleet(workers), tmp_path / "asked", fresh=workers == 2) as asking:
            found = [asking.values({"mean": 2.0}, dies) for dies in ([4, 1], range(6))]
        assert [[float(v["x"]) for v in each] for each in found] == [wanted[[4, 1]].tolist(), wanted[:6].tolist()]
    assert run(study(), Fleet(0), tmp_path / "asked").found == 6
    with Asking(study(study_tasks.raising), Fleet(0), tmp_path) as asking:
        with pytest.raises(MeasureFailed, match=r"2 of 2 failed; normal: die 0, mean = 2\.0\n(?s:.*)no 2\.0"):
            asking.values({"mean": 2.0}, (0, 1))
        assert len(asking.values({"mean": 1.0}, (0, 1))) == 2
        with pytest.raises(ValueError, match=r"study normal has no point \{\'mean\': 4\.0\}"):
            asking.values({"mean": 4.0}, (0,))


def test_a_cell_that_kills_its_workers_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    results = run(study(study_tasks.deadly, dies=2), Fleet(workers=2), tmp_path)
    assert set(results.failures) == {f"normal: die {die}, mean = 2.0" for die in range(2)}
    assert all("3 workers died of it" in why for why in results.failures.values())
    np.testing.assert_array_equal(results.data["measured"].sum("die"), [2, 0, 2])


def test_killed_workers_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every worker that is seen at work is killed, until six are."""
    seen, killed = tmp_path / "seen", set[int]()
    seen.mkdir()
    monkeypatch.setenv("STUDY_SEEN", str(seen))
    done = threading.Event()

    def kill() -> None:
        while len(killed) < 6 and not done.wait(0.15):
            for name in {int(path.name) for path in seen.iterdir()} - killed:
                os.kill(name, signal.SIGKILL)
                killed.add(name)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        found = run(study(study_tasks.slow_and_seen, dies=30), Fleet(workers=2), tmp_path / "killed")
    finally:
        done.set()
        killer.join()
    assert len(killed) >= 6
    assert not found.failures
    assert found.result_hash == serial(tmp_path, study(dies=30)).result_hash


def test_batches_take_about_the_time_they_are_to_take() -> None:
    """Cells of 1 ms: at first one, then up to four times as many, in the end BATCH_S of them, fewer when few are left."""
    pace, sizes = Pace(), []
    for _ in range(8):
        sizes.append(pace.size(10**6, 2))
        pace.note([Outcome(Cell(0, 0), 0.001)] * sizes[-1])
    assert sizes[:4] == [1, 4, 16, 64]
    assert sizes[-1] == pytest.approx(BATCH_S / 0.001, abs=1)
    assert (pace.size(100, 2), pace.size(1, 2)) == (25, 1)
    pace.note([Outcome(Cell(0, 0), 10.0)])
    assert pace.size(10**6, 2) < 30
