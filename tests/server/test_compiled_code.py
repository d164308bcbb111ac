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
