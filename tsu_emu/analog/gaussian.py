"""Gaussian cells: a linear network of Ornstein-Uhlenbeck or resonator cells, propagated exactly over a tick.

First order: tau dx = -(A x - h) dt + sqrt(2 T tau) dW, A_ii = a_i, A_ij = -J_ij, symmetric or not. Second order: the cells of a
stochastic processing unit (Melanson et al., arXiv 2312.04836), resonators coupled by capacitors, state v of all cells, then i:

    di = L^-1 v dt,   dv = -C^-1 R^-1 v dt - C^-1 i dt + sqrt(2 k0) C^-1 dW

In units tau = R C0 for time, C0 for C = A, and R i for the current this is A dv = -(v + i - h) dt + sqrt(2 T) dW, di = q^2 v dt,
with quality factor q = R sqrt(C0 / L) of a cell with a = 1 and T = k0 R / C0, the temperature of E = 1/2 v A v + 1/2 i i / q^2:
v has covariance T A^-1. The drive h is a current. The inductors short it at DC, so <i> = h and <v> = 0.

Products and roots are own loops in written order, not BLAS: a chip is the same on every machine.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu.jit import inner, kernel
from tsu_emu.noise.normal import normal_of
from tsu_emu.noise.threefry import threefry

U = np.uint32
Matrix = NDArray[np.float64]
TERMS = 9
"""Of the Taylor series over a step with ||B|| h < 1/64: what is left out is below 1e-17 of the first term."""


class Propagator(NamedTuple):
    """x(t + tick) = phi x + gain h + sqrt(T) root xi, of (states,) values; states = order x cells.

    phi, root : (states, states) float64, Fortran order; columns of held cells in phi are their drive on the others
    gain : (states, cells) float64, Fortran order; held : (states,) bool, values that do not change
    """

    phi: Matrix
    gain: Matrix
    root: Matrix
    held: NDArray[np.bool_]


@kernel
def stiffness_matrix(a, row, source, J):  # type: ignore[no-untyped-def]
    """A (cells, cells) of stiffnesses a (cells,) and couplers row, source, J: A_ii = a_i, A_ij = -J_ij."""
    A = np.zeros((a.size, a.size))
    for i in range(a.size):
        A[i, i] = a[i]
        for e in range(row[i], row[i + 1]):
            A[i, source[e]] -= J[e]
    return A


@kernel
def product(a, b):  # type: ignore[no-untyped-def]
    """a b of C-ordered matrices (n, m), (m, k); four rows of b at a time."""
    n, m = a.shape
    k = b.shape[1]
    out = np.zeros((n, k))
    whole = m & ~3
    for i in range(n):
        y = out[i]
        for j in range(0, whole, 4):
            w0, w1, w2, w3 = a[i, j], a[i, j + 1], a[i, j + 2], a[i, j + 3]
            b0, b1, b2, b3 = b[j], b[j + 1], b[j + 2], b[j + 3]
            for c in range(k):
                y[c] += (w0 * b0[c] + w1 * b1[c]) + (w2 * b2[c] + w3 * b3[c])
        for j in range(whole, m):
            w0, b0 = a[i, j], b[j]
            for c in range(k):
                y[c] += w0 * b0[c]
    return out


@kernel
def inverse(matrix):  # type: ignore[no-untyped-def]
    """Inverse (n, n) by Gauss and Jordan with partial pivoting; not finite if a pivot is 0."""
    n = matrix.shape[0]
    a, out = matrix.copy(), np.eye(n)
    for j in range(n):
        p = j
        for i in range(j + 1, n):
            if abs(a[i, j]) > abs(a[p, j]):
                p = i
        for c in range(n):
            a[j, c], a[p, c] = a[p, c], a[j, c]
            out[j, c], out[p, c] = out[p, c], out[j, c]
        scale = 1.0 / a[j, j]
        a[j] *= scale
        out[j] *= scale
        for i in range(n):
            if i != j and a[i, j] != 0.0:
                w = a[i, j]
                a[i] -= w * a[j]
                out[i] -= w * out[j]
    return out


@kernel
def lower_root(covariance):  # type: ignore[no-untyped-def]
    """Lower triangular L (n, n) with L L^T = covariance, which may be semidefinite: a pivot lost in rounding counts as 0."""
    n = covariance.shape[0]
    rest, root = covariance.copy(), np.zeros((n, n))
    column = np.empty(n)
    for j in range(n):
        if not rest[j, j] > n * 2.2e-16 * covariance[j, j]:
            continue
        pivot = np.sqrt(rest[j, j])
        for i in range(j, n):
            column[i] = rest[i, j] / pivot
            root[i, j] = column[i]
        for i in range(j + 1, n):
            w = column[i]
            for c in range(j + 1, i + 1):
                rest[i, c] -= w * column[c]
    return root


def _short_step(drift: Matrix, diffusion: Matrix, step: float) -> tuple[Matrix, Matrix, Matrix]:
    """exp(-B h), integral of exp(-B s) ds and of exp(-B s) D exp(-B s)^T ds over [0, h], by Taylor series."""
    identity = np.eye(len(drift))
    phi, gain, noise = identity, step * identity, step * diffusion
    power, term = identity, noise
    for k in range(1, TERMS + 1):
        power = product(drift, power) * (-step / k)
        phi = phi + power
        gain = gain + power * (step / (k + 1))
        half = product(drift, term)
        term = (half + half.T) * (-step / (k + 1))
        noise = noise + term
    return phi, gain, noise


def transition(drift: Matrix, diffusion: Matrix, time: float) -> tuple[Matrix, Matrix, Matrix]:
    """Exact law of dx = (u - B x) dt + noise over `time`: x becomes phi x + gain u + N(0, Q). Returns phi, gain, Q.

    drift : B (n, n), any, stable or not; diffusion : D (n, n), symmetric, E[noise noise^T] = D dt; time >= 0
    A short step by Taylor series, then doublings: phi_2h = phi_h^2, gain_2h = gain_h + phi_h gain_h,
    Q_2h = Q_h + phi_h Q_h phi_h^T. No Lyapunov equation has to have a solution. Not finite on overflow.
    """
    norm = float(np.abs(drift).sum(axis=1).max(initial=0.0)) * time
    doublings = max(0, int(np.frexp(64 * norm)[1]))
    phi, gain, noise = _short_step(drift, diffusion, time / 2.0**doublings)
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(doublings):
            noise = noise + product(product(phi, noise), np.ascontiguousarray(phi.T))
            noise = 0.5 * (noise + noise.T)
            gain = gain + product(phi, gain)
            phi = product(phi, phi)
    return phi, gain, noise


def propagator(A: Matrix, held: NDArray[np.bool_], dt_over_tau: float, order: int, quality: float = 1.0) -> Propagator:
    """Propagator over a tick of dt_over_tau time constants; held cells keep their values and are constant drive.

    A : (cells, cells) float64, finite; held : (cells,) bool; order : 1, or 2 for resonators, whose `quality` is q above

    A held resonator keeps v and i. Its constant v drives nobody: capacitors pass changes only. The kick that the others get
    when a clamp moves v is not part of the propagator. Raises ValueError if the free cells' capacitance matrix is singular, or
    if an unstable network grows beyond float64 within the tick.
    """
    cells, free = len(A), np.flatnonzero(~held)
    stiff = np.ascontiguousarray(A[np.ix_(free, free)])
    if order == 1:
        phi, gain, noise = transition(stiff, 2.0 * np.eye(len(free)), dt_over_tau)
        index, drive = free, -product(gain, np.ascontiguousarray(A[np.ix_(free, held)]))
    else:
        elastance = inverse(stiff)
        if not np.all(np.isfinite(elastance)):
            raise ValueError("the capacitance matrix of the free cells is singular")
        zero = np.zeros_like(stiff)
        drift = np.block([[elastance, elastance], [-(quality * quality) * np.eye(len(free)), zero]])
        kick = 2.0 * product(elastance, np.ascontiguousarray(elastance.T))
        phi, gain, noise = transition(drift, np.block([[kick, zero], [zero, zero]]), dt_over_tau)
        gain = product(np.ascontiguousarray(gain[:, : len(free)]), elastance)
        index, drive = np.concatenate((free, cells + free)), np.zeros((2 * len(free), cells - len(free)))
    states = order * cells
    full_phi, full_gain, full_root = np.eye(states), np.zeros((states, cells)), np.zeros((states, states))
    full_phi[np.ix_(index, index)] = phi
    full_phi[np.ix_(index, np.flatnonzero(held))] = drive
    full_gain[np.ix_(index, free)] = gain
    full_root[np.ix_(index, index)] = lower_root(noise)
    if not all(np.all(np.isfinite(m)) for m in (full_phi, full_gain, noise)):
        raise ValueError("the network grows beyond the range of float64 within a tick")
    phi, gain, root = (np.asfortranarray(m) for m in (full_phi, full_gain, full_root))
    return Propagator(phi, gain, root, np.tile(held, order))


@inner
def _add_product(y, matrix, x, triangular):  # type: ignore[no-untyped-def]
    """y += matrix x, four columns at a time; a triangular matrix is lower triangular."""
    whole = x.size & ~3
    for j in range(0, whole, 4):
        first = j if triangular else 0
        c0, c1, c2, c3 = matrix[:, j], matrix[:, j + 1], matrix[:, j + 2], matrix[:, j + 3]
        x0, x1, x2, x3 = x[j], x[j + 1], x[j + 2], x[j + 3]
        for i in range(first, y.size):
            y[i] += (c0[i] * x0 + c1[i] * x1) + (c2[i] * x2 + c3[i] * x3)
    for j in range(whole, x.size):
        c0, x0 = matrix[:, j], x[j]
        for i in range(j if triangular else 0, y.size):
            y[i] += c0[i] * x0


@inner
def _deviates(out, plane, tick, amplitude, key):  # type: ignore[no-untyped-def]
    """out (states,) float64: amplitude times standard normal deviates of one plane and tick."""
    t0, t1 = U(tick & 0xFFFFFFFF), U(tick >> 32)
    for e in range(0, out.size, 2):
        a, b, c, d = threefry(U(e >> 1), U(plane), t0, t1, key[0], key[1], key[2], U(0))
        out[e] = amplitude * normal_of(a, b)
        if e + 1 < out.size:
            out[e + 1] = amplitude * normal_of(c, d)


@kernel
def live(x, propagator, drive, temperature, enabled, first_tick, ticks, rail, key):  # type: ignore[no-untyped-def]
    """Let the cells of the enabled planes live for ticks first_tick .. first_tick + ticks - 1. Returns how often one met a rail.

    x : (planes, states) float64, changed in place; drive : h (cells,) float64; temperature : (planes,) float64, >= 0
    enabled : (n,) int64, plane numbers; rail : no state exceeds it after a tick; key : first three key words, uint32
    """
    phi, gain, root, held = propagator
    offset, y, xi = np.zeros(x.shape[1]), np.empty(x.shape[1]), np.empty(x.shape[1])
    _add_product(offset, gain, drive, False)
    met = 0
    for plane in enabled:
        amplitude, values = np.sqrt(temperature[plane]), x[plane]
        for tick in range(first_tick, first_tick + ticks):
            _deviates(xi, plane, tick, amplitude, key)
            y[:] = offset
            _add_product(y, phi, values, False)
            _add_product(y, root, xi, True)
            for i in range(y.size):
                if held[i]:
                    continue
                values[i] = y[i]
                if not abs(y[i]) <= rail:
                    values[i] = rail if y[i] > 0.0 else -rail
                    met += 1
    return met
