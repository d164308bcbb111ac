"""Compiled code that comes from the cache runs in a process in which nothing was compiled."""

from __future__ import annotations

import subprocess
import sys

from server.process import environment


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
