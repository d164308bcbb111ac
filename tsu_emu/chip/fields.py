"""Couplings and biases as the array hears them now, on chips where they are more than what each converter puts out by itself."""

from __future__ import annotations

import numpy as np

from tsu_emu import state as S
from tsu_emu.analog.dac import outputs
from tsu_emu.analog.die import place_fields, silence
from tsu_emu.analog.network import apply
from tsu_emu.analog.slow import outputs_now
from tsu_emu.chip.codes import BIASES, COUPLINGS
from tsu_emu.jit import inner, kernel

NOW, STALE, EVALUATED_AT, KICKED_UNTIL = S.NOW, S.STALE, S.EVALUATED_AT, S.KICKED_UNTIL


@inner
def _put_out(c, p, bank, out):  # type: ignore[no-untyped-def]
    """out (n,) float64: outputs of a bank at NOW, kT."""
    lines, settled = p.lines[bank], c.time[NOW] > c.time[KICKED_UNTIL]
    if not p.general:
        outputs(lines.bank, lines.heard, 0, lines.volts)
    kicks, written = lines.kicks[:0] if settled else lines.kicks, lines.written[:0] if settled else lines.written
    tau = lines.tau if lines.tau > 0 else 1.0
    outputs_now(lines.volts, kicks, written, c.time[NOW], tau, p.slow.levels[bank], p.slow.factors[bank], out)


@inner
def _make(c, p, J, h):  # type: ignore[no-untyped-def]
    """`make` on a CORE record."""
    _put_out(c, p, COUPLINGS, J)
    _put_out(c, p, BIASES, h)
    for e in range(J.size):
        J[e] *= p.slow.kappa[e]
    if p.network.quiet:
        return
    cells, row, source = p.topology.order.size, p.topology.row, p.topology.source
    single = h.copy() if h.size == cells else np.zeros(cells, np.float64)
    heard = np.empty(cells, np.float64)
    apply(p.network, row, source, J.copy(), single, p.lines[COUPLINGS].heard, J, heard)
    if h.size == cells:
        h[:] = heard


@kernel
def make(core, p, J, h):  # type: ignore[no-untyped-def]
    """J (couplers,), h (bias terms,) float64: what converters, slow effects and the network give as of NOW, kT. p : Plant"""
    _make(core[0], p, J, h)


@inner
def evaluate(c, p):  # type: ignore[no-untyped-def]
    """Fields of clocked p-bits as of NOW."""
    J, h = np.empty(p.doubled.size, np.float64), np.empty(p.bias.size, np.float64)
    _make(c, p, J, h)
    place_fields(p.die.scale, p.limits, p.topology.row, p.slow.alpha, p.slow.delta, J, h, p.doubled, p.bias, p.base)
    silence(p.topology.row, p.floating, p.doubled, p.bias, p.base)
    p.temperature[:] = p.slow.temperature
    p.rows.fresh[0] = 0
    c.time[EVALUATED_AT] = c.time[NOW]
    if c.time[NOW] >= c.time[KICKED_UNTIL]:
        c.time[STALE] = 0
