"""What the coupling network makes of coupler values and biases: asymmetric gains, crosstalk, IR drop along the row wires.

Couplers are in CSR form: couplers row[i] .. row[i+1]-1 drive cell i, sources ascending. An effect whose parameter is 0 is not
computed and passes its input on, bit for bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu.jit import inner, kernel


class Network(NamedTuple):
    """Constants of a coupling network; `make_network` makes one.

    crosstalk : chi, 1/kT
    ir_drop : rho, relative loss of a coupling in a row with full load, 0..1
    load_unit : load that one code step of one coupler adds to its row
    segment_ohm : wire between two couplers of a row, ohm; unit_siemens : conductance of a coupler at full scale; full_scale : kT
    triangles : whether any three cells are coupled with each other, which is where crosstalk reaches couplers
    quiet : it changes nothing
    """

    crosstalk: float
    ir_drop: float
    load_unit: float
    segment_ohm: float
    unit_siemens: float
    full_scale: float
    triangles: bool
    quiet: bool


def make_network(
    row: NDArray[np.int64],
    source: NDArray[np.uint32],
    code_max: int,
    full_scale: float,
    crosstalk: float = 0.0,
    ir_drop: float = 0.0,
    segment_ohm: float = 0.0,
    unit_siemens: float = 0.0,
) -> Network:
    """The network of a coupler graph; code_max is the largest |code|, full_scale the coupling in kT that it stands for.

    `ir_drop` and `segment_ohm` are two models of one effect: the fast one and the wire solved exactly, .15 to .35 ohm a segment.
    crosstalk = +.015 is the background susceptibility that D-Wave publishes: its chi is -.015 with the opposite sign of J and h.
    """
    if ir_drop and segment_ohm:
        raise ValueError(f"ir_drop {ir_drop} and segment_ohm {segment_ohm}: one model of the voltage drop, not two")
    degree = int(np.diff(row).max(initial=0))
    triangles = bool(crosstalk) and bool(has_triangles(row, source))
    load_unit = 1.0 / (max(degree, 1) * code_max)
    quiet = crosstalk == 0 and ir_drop == 0 and segment_ohm == 0
    return Network(
        float(crosstalk), float(ir_drop), load_unit, float(segment_ohm), float(unit_siemens), float(full_scale), triangles, quiet
    )


@kernel
def opposites(row, source):  # type: ignore[no-untyped-def]
    """(couplers,) int64: for the coupler of i from j, the index of the coupler of j from i."""
    opposite = np.empty(source.size, np.int64)
    following = row[:-1].copy()
    for i in range(row.size - 1):
        for e in range(row[i], row[i + 1]):
            j = source[e]
            opposite[e] = following[j]
            following[j] += 1
    return opposite


def gains(
    opposite: NDArray[np.int64],
    white_sym: NDArray[np.float64],
    white_asym: NDArray[np.float64],
    sigma_sym: float,
    sigma_asym: float,
) -> NDArray[np.float64]:
    """Static gains kappa (couplers,) float64 = 1 + sigma_sym xi_pair + sigma_asym xi_e.

    white_sym, white_asym : (couplers,) float64 deviates, not read where their sigma is 0; a pair has that of its lesser coupler
    """
    kappa = np.ones(len(opposite))
    if sigma_sym:
        kappa = kappa + sigma_sym * white_sym[np.minimum(opposite, np.arange(len(opposite)))]
    if sigma_asym:
        kappa = kappa + sigma_asym * white_asym
    return kappa


@kernel
def has_triangles(row, source):  # type: ignore[no-untyped-def]
    """Whether any three cells are coupled with each other."""
    hears = np.full(row.size - 1, -1, np.int64)
    for i in range(row.size - 1):
        for e in range(row[i], row[i + 1]):
            hears[source[e]] = i
        for e in range(row[i], row[i + 1]):
            j = source[e]
            for f in range(row[j], row[j + 1]):
                if hears[source[f]] == i:
                    return True
    return False


@inner
def _crosstalk_biases(chi, row, source, J, h, out):  # type: ignore[no-untyped-def]
    for i in range(h.size):
        total = 0.0
        for e in range(row[i], row[i + 1]):
            total = total + J[e] * h[source[e]]
        out[i] = h[i] + chi * total


@inner
def _crosstalk_couplers(chi, row, source, J, out):  # type: ignore[no-untyped-def]
    """out_ik = J_ik + chi sum_j J_ij J_jk, j ascending, for couplers (i, k); cost: the sum of squared degrees."""
    total = np.zeros(row.size - 1, np.float64)
    for i in range(row.size - 1):
        first, last = row[i], row[i + 1]
        for e in range(first, last):
            total[source[e]] = 0.0
        # Cells that i does not hear collect sums too: cheaper than asking each time, and never read.
        for e in range(first, last):
            j, a = source[e], J[e]
            for f in range(row[j], row[j + 1]):
                total[source[f]] += a * J[f]
        for e in range(first, last):
            out[e] = J[e] + chi * total[source[e]]


@inner
def _drop_by_load(rho, load_unit, row, codes, out):  # type: ignore[no-untyped-def]
    """Couplings of a row lose rho times its load, sum |code| / (degree x code_max at their largest)."""
    for i in range(row.size - 1):
        steps = np.int64(0)
        for e in range(row[i], row[i + 1]):
            steps += abs(np.int64(codes[e]))
        left = 1.0 - rho * (steps * load_unit)
        for e in range(row[i], row[i + 1]):
            out[e] = out[e] * left


@inner
def _node_voltages(ohm, conductance, volts):  # type: ignore[no-untyped-def]
    """Voltages along a wire driven with 1 V at its first end, `ohm` before each node, conductances to ground at the nodes.

    Thomas algorithm from the far end: with G_k the conductance that node k and all beyond it show,
    G_k = g_k + G_{k+1} / (1 + r G_{k+1}) and v_k = v_{k-1} / (1 + r G_k). All terms are positive: no pivot, no cancellation.
    """
    beyond = 0.0
    for k in range(conductance.size - 1, -1, -1):
        beyond = conductance[k] + beyond
        volts[k] = 1.0 / (1.0 + ohm * beyond)
        beyond = beyond * volts[k]
    v = 1.0
    for k in range(conductance.size):
        v = v * volts[k]
        volts[k] = v


@inner
def _drop_along_wires(ohm, siemens_per_kt, row, J, out):  # type: ignore[no-untyped-def]
    """Couplings lose what the wire of their row, driven at its first coupler, loses; J sets the conductances."""
    degree = 0
    for i in range(row.size - 1):
        degree = max(degree, row[i + 1] - row[i])
    conductance, volts = np.empty(degree, np.float64), np.empty(degree, np.float64)
    for i in range(row.size - 1):
        first, n = row[i], row[i + 1] - row[i]
        for k in range(n):
            conductance[k] = siemens_per_kt * abs(J[first + k])
        _node_voltages(ohm, conductance[:n], volts[:n])
        for k in range(n):
            out[first + k] = out[first + k] * volts[k]


@kernel
def apply(network, row, source, J, h, codes, out_J, out_h):  # type: ignore[no-untyped-def]
    """What cells hear: out_J (couplers,), out_h (cells,) float64 from J, h and coupling codes (couplers,) int16.

    Crosstalk h_i += chi sum_j J_ij h_j and J_ik += chi sum_j J_ij J_jk where (i, k) is a coupler, both of the values given; then
    the drop along the row wires, which the codes (fast) or the values given (exact) cause. Outputs must not be the inputs.
    """
    if network.crosstalk != 0.0:
        _crosstalk_biases(network.crosstalk, row, source, J, h, out_h)
    else:
        out_h[:] = h
    if network.triangles:
        _crosstalk_couplers(network.crosstalk, row, source, J, out_J)
    else:
        out_J[:] = J
    if network.ir_drop != 0.0:
        _drop_by_load(network.ir_drop, network.load_unit, row, codes, out_J)
    if network.segment_ohm != 0.0:
        _drop_along_wires(network.segment_ohm, network.unit_siemens / network.full_scale, row, J, out_J)
