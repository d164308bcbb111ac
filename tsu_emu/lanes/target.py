"""The processor that Numba compiles for: which kernels it can have."""

from __future__ import annotations

from numba.core.registry import cpu_target

_WANTED = frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vbmi", "gfni", "vaes", "vpclmulqdq", "bmi2"})


def features() -> frozenset[str]:
    """Instruction sets that Numba's target has; NUMBA_CPU_NAME and NUMBA_CPU_FEATURES restrict it."""
    _, _, text = cpu_target.target_context.codegen().magic_tuple()
    return frozenset(name[1:] for name in text.split(",") if name.startswith("+"))


HAS_VECTORS = features() >= _WANTED
"""Whether kernels may use vectors of 512 bits and what goes with them: on Intel's Ice Lake, AMD's Zen 4 and what came after."""
