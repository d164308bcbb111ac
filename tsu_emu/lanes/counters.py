"""Counters in memory that several threads move; compiled for any processor.

Whoever reads that a counter was moved also sees what was written before it moved.
"""

from __future__ import annotations

import platform
from typing import Any

from llvmlite import ir
from numba import types

from tsu_emu.jit import inner
from tsu_emu.lanes.values import BYTE, QUAD, instruction

_HAS_PAUSE = platform.machine() in ("x86_64", "AMD64")
_LOOKS = 10_000
"""Looks at a counter, some 260 us, after which a thread takes it that another one lost its processor."""
_leave_processor = types.ExternalFunction("sched_yield", types.int32())


@instruction(types.int64, types.intp)
def read(b: Any, where: Any) -> Any:
    """The counter at an address."""
    return b.load_atomic(b.inttoptr(where, QUAD.as_pointer()), "acquire", 8)


@instruction(types.void, types.intp, types.int64)
def raise_by(b: Any, where: Any, n: Any) -> Any:
    """The counter at an address goes up by n."""
    b.atomic_rmw("add", b.inttoptr(where, QUAD.as_pointer()), n, "acq_rel")
    return ir.Constant(BYTE.as_pointer(), None)


@instruction(types.int64, types.intp, types.int64, types.int64)
def _exchange(b: Any, where: Any, expected: Any, new: Any) -> Any:
    """What the counter was; it is `new` if that was expected."""
    pair = b.cmpxchg(b.inttoptr(where, QUAD.as_pointer()), expected, new, "acq_rel", "acquire")
    return b.extract_value(pair, 0)


@instruction(types.void)
def _pause(b: Any) -> Any:
    """pause"""
    if _HAS_PAUSE:
        b.call(b.module.declare_intrinsic("llvm.x86.sse2.pause", (), ir.FunctionType(ir.VoidType(), [])), [])
    return ir.Constant(BYTE.as_pointer(), None)


@inner
def take(where, limit):  # type: ignore[no-untyped-def]
    """The counter at an address goes up by 1 if it is below the limit. What it was, or -1 if it stayed."""
    seen = read(where)
    while seen < limit:
        before = _exchange(where, seen, seen + 1)
        if before == seen:
            return seen
        seen = before
    return -1


@inner
def owner(where, who):  # type: ignore[no-untyped-def]
    """The counter at an address becomes `who` if it is 0. What it is then."""
    before = _exchange(where, 0, who)
    return who if before == 0 else before


@inner
def seen(where, wanted):  # type: ignore[no-untyped-def]
    """Whether the counter at an address came to be at least as wanted within some 260 us."""
    for _ in range(_LOOKS):
        if read(where) >= wanted:
            return True
        _pause()
    return False


@inner
def wait(where, wanted):  # type: ignore[no-untyped-def]
    """Until the counter at an address is at least as wanted, with the processor left to others; what moves it is under way."""
    while read(where) < wanted:
        _leave_processor()
