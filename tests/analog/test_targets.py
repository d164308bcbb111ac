"""The same spins and values whatever processor Numba compiles for: this one, x86-64 with AVX2, x86-64 without anything."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

SWEEPS = """
import hashlib
import numpy as np
from tsu_emu.analog.rows import no_rows
from tsu_emu.analog.sweep import update_phases
from tsu_emu.lanes.target import HAS_VECTORS
visible, hidden = 37, 70
cells = visible + hidden
rng = np.random.default_rng(3)
row = np.concatenate([[0], np.cumsum([hidden] * visible + [visible] * hidden)]).astype(np.int64)
source = np.concatenate([np.tile(np.arange(visible, cells), visible), np.tile(np.arange(visible), hidden)]).astype(np.uint32)
doubled = 2 * rng.integers(-20_000, 20_000, row[-1]).astype(np.int32)
base = rng.integers(-30_000, 30_000, cells).astype(np.int32)
spins, mask, value = (rng.integers(0, 1 << 64, (2, cells), dtype=np.uint64) for _ in range(3))
enabled = np.array([(1 << 64) - 1, 0b101], np.uint64)
slope = (-1e-4 * rng.uniform(0.3, 3, 128)).astype(np.float32)
net, code = (np.arange(cells), row, source), (doubled, base, np.zeros((0, 0, 64), np.int32))
bank, phase = (spins, mask & value, value, enabled, slope), np.array([0, visible, cells])
for tick in range(20):
    noise = np.arange(3, dtype=np.uint32), tick % 2 == 1
    update_phases(net, tuple(no_rows()), code, bank, phase, np.array([(0, 0, tick), (1, 0, tick)]), noise, 1)
print(HAS_VECTORS, hashlib.sha256(spins.tobytes()).hexdigest())
"""
STEPS = """
import hashlib
import numpy as np
from tsu_emu.analog.langevin import Quartic, live
from tsu_emu.lanes.target import HAS_VECTORS
rng = np.random.default_rng(4)
row = np.concatenate([[0], np.cumsum(rng.integers(0, 19, 70))])
net = row, rng.integers(0, 70, row[-1]).astype(np.uint32), rng.normal(0, 0.2, row[-1])
cells = Quartic(*np.abs(rng.normal(1, 0.3, (4, 70))), 3.0, 4, 0.05)
x, T, planes, key = rng.normal(size=(37, 70)), rng.uniform(0, 2, 37), np.arange(36, -1, -1), np.arange(3, dtype=np.uint32)
live(x, cells, net, rng.uniform(size=70) < 0.1, T, planes, 1 << 30, 20, key)
print(HAS_VECTORS, hashlib.sha256(x.tobytes()).hexdigest())
"""
TARGETS = {
    "here": {},
    "AVX2": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma,+bmi2,+popcnt"},
    "generic": {"NUMBA_CPU_NAME": "generic"},
}


def swept(target: str, code: str) -> tuple[bool, str]:
    """(whether it had AVX-512's vectors, check sum of spins or values)."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_CPU")} | TARGETS[target]
    out = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=300)
    has_vectors, digest = out.stdout.split()
    return has_vectors == "True", digest


@pytest.mark.skipif(platform.machine() != "x86_64", reason="these targets are of x86-64")
@pytest.mark.parametrize("code", [SWEEPS, STEPS], ids=["sweeps", "steps"])
def test_every_target_gives_the_same_bits(code: str) -> None:
    """Spins by both generators, and Langevin cells.

    Multiply-add is at hand and must not be used; what lacks AVX-512 takes the portable kernels.
    """
    found = {target: swept(target, code) for target in TARGETS}
    assert not found["AVX2"][0]
    assert not found["generic"][0]
    assert len({digest for _, digest in found.values()}) == 1
