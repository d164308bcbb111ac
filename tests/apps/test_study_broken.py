"""Studies that are broken off: runs that are killed, files that are damaged, schedulers that go."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import study_tasks

pytest.importorskip("xarray")
pytest.importorskip("h5netcdf")
pytest.importorskip("matplotlib")

from study_helpers import paths, serial, study
from tsu_apps.report import Row
from tsu_apps.study import EngineLost, Fleet, Results, run
from tsu_apps.study.results import save
from tsu_apps.study.store import Store


def script(folder: Path, *more: str) -> list[str]:
    """A run of tests/study_tasks.py's slow function by a file of a user, in a process of its own."""
    file = folder / "users_study.py"
    file.write_text(
        "import study_tasks\nfrom tsu_apps.study import Axis, Quantity, Study\n"
        "STUDY = Study('normal', 'Deviates', study_tasks.slow, [Quantity('x', 'kT'), Quantity('more', dims={'part': 3})],\n"
        "              [Axis('mean', (1.0, 2.0, 3.0), 'kT')], dies=40, seed=5)\n"
    )
    options = ["--store", str(folder / "store"), "--out", str(folder / "out"), "--workers", "2", *more]
    return [sys.executable, "-m", "tsu_apps.study", str(file), *options]


def batches(folder: Path) -> int:
    return len(list(folder.rglob("*.batch")))


def wait_for(what: Callable[[], bool], seconds: float = 100.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    """Killed with some batches on disk; the next run finds these, measures the others, and is as the serial one."""
    with subprocess.Popen(script(tmp_path), env=paths(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as begun:
        wait_for(lambda: batches(tmp_path) >= 3)
        begun.kill()
    (tmp_path / "store" / next(p.name for p in (tmp_path / "store").iterdir()) / "half.part").write_bytes(b"x")
    done = subprocess.run(
        script(tmp_path, "--json", str(tmp_path / "j.json")), env=paths(), capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    report = json.loads((tmp_path / "j.json").read_text())
    rows = {row["name"]: row["value"] for row in report["rows"]}
    assert rows["cells in the store"] >= 3
    assert rows["cells in the store"] + rows["cells measured now"] == 120
    assert not list((tmp_path / "store").rglob("*.part"))
    assert report["config"]["hash"] == serial(tmp_path, study(study_tasks.slow, dies=40)).result_hash


@pytest.mark.parametrize("damage", [lambda data: data[:-100], lambda data: data[:200] + b"\0" + data[201:], lambda data: b""])
def test_a_damaged_file_is_noticed_and_measured_anew(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    of, store = study(), tmp_path / "store"
    wanted = run(of, Fleet(workers=0), store)
    file = sorted(store.rglob("*.batch"))[1]
    file.write_bytes(damage(file.read_bytes()))
    with pytest.warns(RuntimeWarning, match="is damaged"):
        found = run(of, Fleet(workers=0), store)
    assert 0 < found.new < 24
    assert found.result_hash == wanted.result_hash
    assert run(of, Fleet(workers=0), store).new == 0


def test_more_dies_take_over_those_that_there_are(tmp_path: Path) -> None:
    run(study(), Fleet(workers=0), tmp_path)
    more = run(study(dies=10), Fleet(workers=0), tmp_path)
    assert (more.found, more.new) == (24, 6)
    assert more.result_hash == serial(tmp_path, study(dies=10)).result_hash
    assert run(study(dies=10), Fleet(workers=0), tmp_path, fresh=True).new == 30


def test_a_disk_that_is_full_is_named_and_left_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=f"{tmp_path}/store/normal-"):
            run(study(), Fleet(workers=0), tmp_path / "store")
    assert [file.name for file in (tmp_path / "store").rglob("*") if file.is_file()] == ["lock"]
    results = run(study(), Fleet(workers=0), tmp_path / "store")
    assert results.new == 24
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match=f"{tmp_path}/data.nc"):
        save(results.data, tmp_path / "data.nc")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["store"]


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with Store(tmp_path, study()), pytest.raises(BlockingIOError, match="another run"):
        run(study(), Fleet(workers=0), tmp_path)


def test_the_verdict_on_overhead_needs_a_long_run(tmp_path: Path) -> None:
    data = serial(tmp_path, study()).data

    def verdict(seconds: float, busy: float) -> Row:
        rows = Results(data, {}, 0, 1, seconds, busy).rows()
        return next(row for row in rows if "not measuring" in row.name)

    assert [verdict(1.0, 0.5).ok, verdict(100.0, 96.0).ok, verdict(100.0, 90.0).ok] == [None, True, False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing = 1\n", "has no Study"),
        (
            "import study_tasks as s\nfrom tsu_apps.study import *\nA = B = Study('a', '', s.normal, [Quantity('x')])\n",
            "the studies A, B",
        ),
        ("x = 1\ny = = 2\n", "no_study.py:2: invalid syntax"),
    ],
)
def test_a_file_without_the_study_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "no_study.py"
    file.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "tsu_apps.study", str(file)], env=paths(), capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 2
    assert said in done.stderr


# Dask


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes], subprocess.Popen[bytes]]]:
    """(address, scheduler, worker) on loopback."""
    address = f"tcp://127.0.0.1:{free_port()}"
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": paths()}
    dask = [sys.executable, "-m", "distributed.cli."]
    at = ["--host", "127.0.0.1", "--port", address.rpartition(":")[2], "--no-dashboard"]
    worker = ["--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1", "--local-directory", str(folder), "--no-nanny"]
    parts = [
        subprocess.Popen([*dask[:2], f"{dask[2]}dask_scheduler", *at], **quiet),
        subprocess.Popen([*dask[:2], f"{dask[2]}dask_worker", address, *worker], **quiet),
    ]
    try:
        yield address, parts[0], parts[1]
    finally:
        for part in parts:
            part.kill()
            part.wait()


@pytest.mark.filterwarnings("ignore")
def test_dask_gives_the_same_and_its_scheduler_may_die(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    of = study(study_tasks.slow, dies=40)
    with cluster(tmp_path / "one") as (address, scheduler, _):
        killer = threading.Thread(target=lambda: (wait_for(lambda: batches(tmp_path) >= 2), scheduler.kill()))
        killer.start()
        with pytest.raises(EngineLost, match="scheduler"):
            run(of, Fleet(scheduler=address), tmp_path / "store")
        killer.join()
    assert batches(tmp_path / "store") >= 2
    with cluster(tmp_path / "two") as (address, _, _):
        found = run(of, Fleet(scheduler=address), tmp_path / "store")
    assert found.found > 0
    assert found.result_hash == serial(tmp_path, of).result_hash


@pytest.mark.filterwarnings("ignore")
def test_no_scheduler_is_an_error_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("tsu_apps.study.cluster.CONNECT_S", 0.5)
    with pytest.raises(EngineLost, match="no scheduler answers"):
        run(study(), Fleet(scheduler=f"tcp://127.0.0.1:{free_port()}"), tmp_path)
