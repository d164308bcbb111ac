"""The processor that Numba compiles for: which kernels it can have."""

from __future__ import annotations

from numba.core.registry import cpu_target

_NIBBLES = frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vbmi", "gfni"})
_AES = frozenset({"avx512f", "vaes"})


def features() -> frozenset[str]:
    """Instruction sets that Numba's target has; NUMBA_CPU_NAME and NUMBA_CPU_FEATURES restrict it."""
    _, _, text = cpu_target.target_context.codegen().magic_tuple()
    return frozenset(name[1:] for name in text.split(",") if name.startswith("+"))


HAS_NIBBLES = features() >= _NIBBLES
"""Fields by tables of sixteen sums, looked up in registers."""
HAS_AES = features() >= _AES
"""Rounds of AES, four blocks at a time."""
