"""The one way in which the chip's code is compiled, and where compiled code is kept.

No fast-math: every operation rounds as docs/arithmetic.md says, on every processor. Numba does not notice that a function in
another file changed, so the cache directory is named by a hash of all sources of the chip and its contract and Numba's version;
daemon, lab bench and command line, which no compiled function may use, are left out.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba import njit

import tsu_contract

NOT_COMPILED = ("server", "bench", "keep", "gateway", "commands", "__main__.py")
"""Parts of this package that compiled functions know nothing of; the import rules see to it."""
F = TypeVar("F", bound=Callable[..., Any])


@cache
def cache_directory() -> Path:
    """Directory of this version's compiled code, under the user's cache directory (XDG_CACHE_HOME, else ~/.cache)."""
    digest = hashlib.sha256(numba.__version__.encode())
    apart = {Path(__file__).resolve().parent / name for name in NOT_COMPILED}
    for package in (Path(__file__).resolve().parent, Path(tsu_contract.__file__).resolve().parent):
        for path in sorted([*package.rglob("*.py"), *package.rglob("*.json")]):
            if apart & {path, *path.parents}:
                continue
            digest.update(path.relative_to(package).as_posix().encode())
            digest.update(path.read_bytes())
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tsu-emu" / digest.hexdigest()[:16]


# A waiting OpenMP thread that spins costs a busy machine most of its speed; it is to sleep instead.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if not os.environ.get("NUMBA_CACHE_DIR"):
    numba.config.CACHE_DIR = str(cache_directory())  # type: ignore[attr-defined]


def _array_functions() -> None:
    """Imports Numba's array functions while scipy's BLAS is hidden: no kernel uses it, and loading it takes .1 to .2 s."""
    blas = "scipy.linalg.cython_blas"
    if blas in sys.modules:
        return
    sys.modules[blas] = None  # type: ignore[assignment]
    try:
        importlib.import_module("numba.np.arraymath")
    finally:
        del sys.modules[blas]


_array_functions()

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}

declared = 0
"""Functions to compile, so far as their modules are imported."""


def _declare(function: F, **options: Any) -> F:
    global declared
    declared += 1
    compiled: F = njit(**_OPTIONS, **options)(function)
    return compiled


def kernel(function: F) -> F:
    """Compile on first use, keep on disk, run without the interpreter's lock; division follows IEEE 754."""
    return _declare(function)


def inner(function: F) -> F:
    """As `kernel`, for functions that only kernels call: without the entry for Python, which takes seconds to compile."""
    return _declare(function, no_cpython_wrapper=True)


def unfolded(function: F) -> F:
    """As `kernel`, and laid out in place wherever a kernel calls it, so that a loop round the call becomes a loop of vectors."""
    return _declare(function, forceinline=True)


def parallel_kernel(function: F) -> F:
    """As `kernel`, with `prange` loops spread over threads.

    Asking for their number launches Numba's threads. A caller of the function that comes from the cache would otherwise find them
    missing: the cache restores them for the function itself alone.
    """
    numba.get_num_threads()
    return _declare(function, parallel=True)
