"""The one way in which the chip's code is compiled. No fast-math: every operation rounds as docs/arithmetic.md says, on every
processor."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba import njit

from tsu_emu.code_cache import keep_here

F = TypeVar("F", bound=Callable[..., Any])

# A waiting OpenMP thread that spins costs a busy machine most of its speed; it is to sleep instead.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

keep_here()


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
