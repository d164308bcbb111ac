"""Compiled code that comes from the cache runs in a process in which nothing was compiled."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tsu_contract
import tsu_emu
from server.process import environment
from tsu_emu import warmup
from tsu_emu.config import ChipConfig, load


def test_threading_layer_is_up_before_any_compiled_code_runs() -> None:
    """A kernel that calls a parallel one refers to symbols that Numba adds when it starts its threads.

    Numba remembers to start them for a kernel from the cache only if the parallel one was compiled in the same process; if it
    came from the cache itself, as after a first start that was ended halfway, the call goes to address 0.
    """
    code = "import tsu_emu.chip, numba.np.ufunc.parallel as p; print(p._is_initialized)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment(), check=True)
    assert run.stdout.strip() == "True"


AFTER_WARM_UP = """
import sys
import numpy as np
from numba.core.dispatcher import Dispatcher
from tsu_emu.warmup import warm_up

from tsu_emu.chip import Chip
from tsu_emu.config import load
for name in ("digits-typical", "ideal-16", "langevin-16"):
    warm_up(lambda done, total: None, load(name))
from tsu_contract.operations import RECORD, Op
from tsu_contract.registers import WINDOWS, register
from tsu_firmware import BootFirmware


def signatures():
    modules = [m for name, m in sys.modules.items() if name.startswith("tsu_emu")]
    found = {f"{v.py_func.__module__}.{k}": v for m in modules for k, v in vars(m).items() if isinstance(v, Dispatcher)}
    return {name: set(map(str, f.signatures)) for name, f in found.items()}


before = signatures()
for name in ("digits-typical", "ideal-16", "langevin-16"):
    chip = Chip(load(name), BootFirmware(), threads=2)
    records = np.zeros(4, RECORD)
    records[0] = (Op.WAIT, 0, 0, register("SYS.BOOT").at(), 2, 0xFF, 10**6)
    records[1] = (Op.WRITE, 0, 0, register("SEQ.CTRL").at(), 1, 0, 0)
    records[2] = (Op.BLKWR, 0, 0, WINDOWS["CLAMP_MASK"].address, 0, 0, 2)
    records[3] = (Op.BLKRD, 0, 0, WINDOWS["BIAS"].address, 0, 0, 5)
    assert chip.execute(records, (bytes(8),)).failure is None
print({name: new - before.get(name, set()) for name, new in signatures().items() if new - before.get(name, set())})
"""


def test_after_the_warm_up_a_daemon_compiles_nothing_more() -> None:
    """Booting, running and reading shipped chips asks for no signature that the warm-up did not make."""
    ran = subprocess.run([sys.executable, "-c", AFTER_WARM_UP], capture_output=True, text=True, timeout=300, env=environment())
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "{}"


def test_a_start_warms_up_what_was_not_warmed_up_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By this version: clocked p-bits twice, and once more for each other kind; seeds and names make no difference."""
    lives: list[ChipConfig] = []
    monkeypatch.setattr(warmup, "_live", lives.append)
    monkeypatch.setattr(warmup, "cache_directory", lambda: tmp_path)

    def lived(name: str, **changes: str) -> int:
        before = len(lives)
        warmup.warm_up_once(lambda done, total: None, load(name, changes))
        return len(lives) - before

    assert lived("ideal-16") == 2
    assert lived("ideal-16") == 0
    assert lived("digits-ideal") == 0
    assert lived("digits-typical") == 1
    assert lived("digits-typical", **{"seeds.die": "7"}) == 0
    assert lived("langevin-16") == 1
    monkeypatch.setattr(warmup, "cache_directory", lambda: tmp_path / "another version")
    assert lived("digits-typical") == 3


LOADED = """
from tsu_emu.noise.normal import natural_log
natural_log(2.0)
print(sum(natural_log.stats.cache_hits.values()), sum(natural_log.stats.cache_misses.values()))
"""


def test_copies_of_one_version_share_their_code_and_another_version_has_its_own(tmp_path: Path) -> None:
    """The same sources at another path and of another date; one more comment, as in another version."""
    for package in (tsu_emu, tsu_contract):
        copy = shutil.copytree(
            Path(package.__file__).parent, tmp_path / package.__name__, ignore=shutil.ignore_patterns("__pycache__")
        )
        for path in copy.rglob("*.py"):
            os.utime(path, (0, 0))

    def loaded(path: str) -> str:
        run = [sys.executable, "-P", "-c", LOADED]
        env = environment() | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "XDG_CACHE_HOME": str(tmp_path / "cache")}
        return subprocess.run(run, capture_output=True, text=True, timeout=60, env=env, check=True).stdout

    compiled, found = "0 1\n", "1 0\n"
    assert loaded(environment()["PYTHONPATH"]) == compiled
    assert loaded(str(tmp_path)) == found
    with (tmp_path / "tsu_emu/server/session.py").open("a") as file:
        file.write("# not compiled\n")
    assert loaded(str(tmp_path)) == found
    with (tmp_path / "tsu_emu/state.py").open("a") as file:
        file.write("# another version\n")
    assert loaded(str(tmp_path)) == compiled


def test_the_emulator_loads_no_linear_algebra_of_scipy() -> None:
    """Numba's array functions would, and a start would take .1 to .2 s more."""
    code = "import sys, tsu_emu.chip, numba.np.arraymath; print('scipy.linalg' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment(), check=True)
    assert run.stdout.strip() == "False"
