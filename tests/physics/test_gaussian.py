"""Gaussian cells: propagators against scipy, and what the kernel does with them against the law they stand for.

Statistical tolerances are 5 standard errors from the number of independent planes; 16 planes' worth of entries at most.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import expm, solve_continuous_lyapunov

from tsu_emu.analog.gaussian import Propagator, inverse, live, lower_root, propagator, stiffness_matrix, transition

Matrix = NDArray[np.float64]
KEY = np.array([5, 0, 13], np.uint32)
PLANES = 4096
NORMS = [1e-3, 1e-1, 1.0, 30.0, 1e3]


def network(cells: int, asymmetric: bool, seed: int = 1) -> Matrix:
    """Stable A, of spectrum about 0.5 .. 3; asymmetric: cells hear those of higher number 20 times as well."""
    rng = np.random.default_rng(seed)
    J = rng.normal(0, 0.5 / np.sqrt(cells), (cells, cells))
    J = 4 * np.triu(J) + 0.2 * np.tril(J) if asymmetric else (J + J.T) / np.sqrt(2)
    return np.diag(rng.uniform(1.2, 2.5, cells)) - J + np.diag(np.diag(J))


def nobody(cells: int) -> NDArray[np.bool_]:
    return np.zeros(cells, np.bool_)


def covariance(p: Propagator) -> Matrix:
    return p.root @ p.root.T


def resonators(A: Matrix, q: float) -> tuple[Matrix, Matrix]:
    """Drift and diffusion of A dv = -(v + i) dt + sqrt(2) dW, di = q^2 v dt."""
    n, C = len(A), np.linalg.inv(A)
    zero = np.zeros((n, n))
    return np.block([[C, C], [-q * q * np.eye(n), zero]]), np.block([[2 * C @ C.T, zero], [zero, zero]])


def van_loan(B: Matrix, D: Matrix, time: float) -> tuple[Matrix, Matrix, Matrix]:
    """Phi, gain and Q from one matrix exponential each; good while ||B|| time is small."""
    n = len(B)
    zero = np.zeros((n, n))
    block = expm(np.block([[B, D], [zero, -B.T]]) * time)
    gain = expm(np.block([[-B, np.eye(n)], [zero, zero]]) * time)[:n, n:]
    phi = block[n:, n:].T
    return phi, gain, phi @ block[:n, n:]


def start(states: int, planes: int = PLANES) -> Matrix:
    return np.zeros((planes, states))


def run(x: Matrix, p: Propagator, h: Matrix, T: float | Matrix, first: int, ticks: int) -> None:
    temperature = np.broadcast_to(np.asarray(T, np.float64), (len(x),)).copy()
    live(x, p, h, temperature, np.arange(len(x)), first, ticks, np.inf, KEY)


def error_of_covariance(x: Matrix, expected: Matrix) -> float:
    """Largest deviation of the covariance (rows of x are independent) in standard errors sqrt((c_ii c_jj + c_ij^2) / N)."""
    d = np.diag(expected)
    return float((abs(np.cov(x.T) - expected) / np.sqrt((np.outer(d, d) + expected**2) / len(x))).max())


def error_of_mean(x: Matrix, expected: Matrix, variance: Matrix) -> float:
    return float((abs(x.mean(axis=0) - expected) / np.sqrt(variance / len(x))).max())


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("asymmetric", [False, True])
def test_first_order_propagator_is_exact_for_any_length_of_a_tick(norm: float, asymmetric: bool) -> None:
    """Against expm and Q = P - Phi P Phi^T, A P + P A^T = 2, to 1e-12. With sym(A) in place of A both miss by > 1 % of Q."""
    A = network(6, asymmetric)
    D = norm / np.abs(A).sum(axis=1).max()
    p = propagator(A, nobody(6), D, 1)
    phi, P = expm(-A * D), solve_continuous_lyapunov(A, 2 * np.eye(6))
    Q = P - phi @ P @ phi.T
    scale = np.sqrt(np.outer(np.diag(Q), np.diag(Q)))
    assert abs(p.phi - phi).max() < 1e-12
    assert abs(p.gain - np.linalg.solve(A, np.eye(6) - phi)).max() < 1e-12
    assert (abs(covariance(p) - Q) / scale).max() < 1e-12
    if asymmetric and norm >= 1:
        wrong = propagator((A + A.T) / 2, nobody(6), D, 1)
        assert (abs(covariance(wrong) - Q) / scale).max() > 0.01


@pytest.mark.parametrize("norm", NORMS)
def test_second_order_propagator_is_exact_for_any_length_of_a_tick(norm: float) -> None:
    """As above for resonators of q = 3; Q is compared in units of its own diagonal, whose current part is of order D^3."""
    A, q = network(4, False), 3.0
    B, D = resonators(A, q)
    time = norm / np.abs(B).sum(axis=1).max()
    p = propagator(A, nobody(4), time, 2, q)
    phi, gain, Q = van_loan(B, D, time)
    if norm > 1:  # where van_loan is lost: exp(+B t) overwhelms it
        P = solve_continuous_lyapunov(B, D)
        phi = expm(-B * time)
        Q, gain = P - phi @ P @ phi.T, np.linalg.solve(B, np.eye(8) - phi)
    scale = np.sqrt(np.outer(np.diag(Q), np.diag(Q)))
    assert abs(p.phi - phi).max() < 1e-12
    assert abs(p.gain - gain[:, :4] @ np.linalg.inv(A)).max() < 1e-12
    assert (abs(covariance(p) - Q) / scale).max() < 1e-12


@pytest.mark.parametrize("order", [1, 2])
def test_one_long_tick_is_ten_short_ones_in_law(order: int) -> None:
    """Composing phi, gain and Q ten times gives those of the long tick, to 1e-12 of the largest."""
    A, h = network(5, True), nobody(5)
    short, long = (propagator(A, h, t, order, 2.0) for t in (0.07, 0.7))
    phi, gain, Q = np.eye(5 * order), np.zeros((5 * order, 5)), np.zeros((5 * order, 5 * order))
    for _ in range(10):
        phi, gain, Q = short.phi @ phi, short.phi @ gain + short.gain, short.phi @ Q @ short.phi.T + covariance(short)
    for a, b in ((phi, long.phi), (gain, long.gain), (Q, covariance(long))):
        assert abs(a - b).max() < 1e-12 * abs(b).max()


def test_marginal_and_unstable_networks_are_exact_too() -> None:
    """One cell in closed form, a = 0 and a = -1; a Laplacian (zero mode), a rotation and an unstable network by Van Loan."""
    for D in (1e-3, 1.0, 20.0):
        free, unstable = (propagator(np.array([[a]]), nobody(1), D, 1) for a in (0.0, -1.0))
        assert np.allclose([free.phi[0, 0], free.gain[0, 0], covariance(free)[0, 0]], [1.0, D, 2 * D], rtol=1e-13)
        expected = [np.exp(D), np.expm1(D), np.expm1(2 * D)]
        assert np.allclose([unstable.phi[0, 0], unstable.gain[0, 0], covariance(unstable)[0, 0]], expected, rtol=1e-12)
    laplacian = 2 * np.eye(4) - np.roll(np.eye(4), 1, 0) - np.roll(np.eye(4), -1, 0)
    rotation = np.array([[0.0, 1.0], [-1.0, 0.0]])
    for A in (laplacian, rotation, network(5, True) - 2.0 * np.eye(5)):
        for D in (0.01, 0.5, 1.5):
            n = len(A)
            phi, gain, Q = transition(A, 2 * np.eye(n), D)
            for a, b in zip((phi, gain, Q), van_loan(A, 2 * np.eye(n), D), strict=True):
                assert abs(a - b).max() < 1e-12 * abs(b).max()
    with pytest.raises(ValueError, match="beyond"):
        propagator(np.array([[-1000.0]]), nobody(1), 1.0, 1)


def test_roots_and_inverses() -> None:
    """The root of a covariance of rank 2 gives it back; an inverse that needs pivoting is right."""
    rng = np.random.default_rng(0)
    thin = rng.normal(size=(6, 2))
    for Q in (thin @ thin.T, np.zeros((3, 3)), np.diag([1.0, 0.0, 1e-30])):
        root = lower_root(np.ascontiguousarray(Q))
        assert abs(root @ root.T - Q).max() < 1e-7 * max(Q.max(), 1e-300)
        assert np.array_equal(root, np.tril(root))
    M = rng.normal(size=(7, 7))
    M[0, 0] = 0.0
    assert abs(inverse(M) @ M - np.eye(7)).max() < 1e-11


@pytest.mark.parametrize("asymmetric", [False, True])
def test_cells_live_to_the_stationary_law(asymmetric: bool) -> None:
    """4 cells, 4,096 planes in two halves of T = .5 and 2, after 100 ticks of .1 tau: mean A^-1 h, covariance T P.

    Twice the temperature fails, and so do, for an asymmetric network, T sym(A)^-1.
    """
    A, h = network(4, asymmetric, 3), np.array([1.0, -0.5, 0.0, 2.0])
    A[0, 1], A[1, 0] = (-3.0, 0.0) if asymmetric else (0.5, 0.5)
    P, x = solve_continuous_lyapunov(A, 2 * np.eye(4)), start(4)
    T = np.repeat([0.5, 2.0], PLANES // 2)
    run(x, propagator(A, nobody(4), 0.1, 1), h, T, 0, 100)
    for half, t in ((x[: PLANES // 2], 0.5), (x[PLANES // 2 :], 2.0)):
        assert error_of_covariance(half, t * P) < 5
        assert error_of_mean(half, np.linalg.solve(A, h), t * np.diag(P)) < 5
        assert error_of_covariance(half, 2 * t * P) > 5
        assert error_of_mean(half, np.zeros(4), t * np.diag(P)) > 5
        if asymmetric:
            assert error_of_covariance(half, t * np.linalg.inv((A + A.T) / 2)) > 5


def test_a_tick_moves_cells_by_the_law_of_the_tick() -> None:
    """From one state, all planes: mean phi x + gain h, covariance T Q, for a short tick, where Q is far from stationary."""
    A, h, T = network(4, True), np.array([1.0, 0.0, -1.0, 3.0]), 0.7
    p = propagator(A, nobody(4), 0.05, 1)
    origin = np.array([3.0, -2.0, 1.0, 0.5])
    x = start(4) + origin
    run(x, p, h, T, 41, 1)
    Q = T * covariance(p)
    assert error_of_covariance(x, Q) < 5
    assert error_of_mean(x, p.phi @ origin + p.gain @ h, np.diag(Q)) < 5
    assert error_of_mean(x, origin, np.diag(Q)) > 5
    assert error_of_covariance(x, Q * 0.05) > 5  # noise that goes with dt instead of sqrt(dt)


def test_cells_and_ticks_draw_noise_of_their_own() -> None:
    """No cell's values of a plane are correlated with another's or with the next tick's, in uncoupled cells at long ticks."""
    x, y = start(5), start(5)
    p = propagator(np.eye(5), nobody(5), 40.0, 1)
    run(x, p, np.zeros(5), 1.0, 0, 1)
    run(y, p, np.zeros(5), 1.0, 0, 2)
    r = np.corrcoef(np.hstack((x, y)).T) - np.eye(10)
    assert abs(r).max() < 5 / np.sqrt(PLANES)


def test_a_cell_hears_its_sources_and_not_the_other_way_round() -> None:
    """Without noise, cell 0 hears cell 1 by J = .8: it settles at (h + .8 x_1) / a, and cell 1, free, at 0."""
    A = stiffness_matrix(np.array([2.0, 1.0]), np.array([0, 1, 1]), np.array([1], np.uint32), np.array([0.8]))
    assert np.array_equal(A, [[2.0, -0.8], [0.0, 1.0]])
    x = np.array([[0.0, 3.0]])
    run(x, propagator(A, np.array([False, True]), 1.0, 1), np.array([0.4, 9.0]), 0.0, 0, 60)
    assert np.allclose(x, [[(0.4 + 0.8 * 3.0) / 2.0, 3.0]], rtol=1e-14)
    run(x, propagator(A, np.array([True, False]), 1.0, 1), np.zeros(2), 0.0, 0, 60)
    assert np.allclose(x, [[1.4, 0.0]], atol=1e-14)


def test_held_cells_condition_the_rest() -> None:
    """Two of four held: they keep their values to the bit; the rest has mean A_ff^-1 (h_f - A_fc x_c), covariance T A_ff^-1.

    The unconditional covariance and mean fail.
    """
    A, h, held = network(4, False, 2), np.array([0.5, 0.0, -1.0, 0.0]), np.array([False, True, False, True])
    A[0, 1] = A[1, 0] = A[0, 2] = A[2, 0] = -0.7
    x = start(4) + np.array([0.0, 2.5, 0.0, -1.5])
    run(x, propagator(A, held, 0.3, 1), h, 1.0, 0, 60)
    assert np.all(x[:, held] == [2.5, -1.5])
    Aff, Afc, free = A[np.ix_(~held, ~held)], A[np.ix_(~held, held)], x[:, ~held]
    P = np.linalg.inv(Aff)
    assert error_of_covariance(free, P) < 5
    assert error_of_mean(free, P @ (h[~held] - Afc @ [2.5, -1.5]), np.diag(P)) < 5
    whole = np.linalg.inv(A)
    assert error_of_covariance(free, whole[np.ix_(~held, ~held)]) > 5
    assert error_of_mean(free, (whole @ h)[~held], np.diag(P)) > 5


def test_all_cells_held_stand_still() -> None:
    x = start(3, 4) + [1.0, 2.0, 3.0]
    run(x, propagator(network(3, False), np.ones(3, np.bool_), 1.0, 1), np.ones(3), 1.0, 0, 5)
    assert np.array_equal(x, start(3, 4) + [1.0, 2.0, 3.0])


def test_resonators_sample_the_inverse_of_the_capacitance_matrix() -> None:
    """3 resonators, q = 2, T = .6, 200 ticks of .2 tau: v has T A^-1, i has T q^2, no correlation; <v> = 0 and <i> = h.

    T A fails for v, and so does another q for i.
    """
    A, h, q, T = network(3, False, 4), np.array([1.0, -2.0, 0.5]), 2.0, 0.6
    A[0, 1] = A[1, 0] = -0.8
    x = start(6)
    run(x, propagator(A, nobody(3), 0.2, 2, q), h, T, 0, 200)
    zero = np.zeros((3, 3))
    P = T * np.block([[np.linalg.inv(A), zero], [zero, q * q * np.eye(3)]])
    assert error_of_covariance(x, P) < 5
    assert error_of_mean(x, np.concatenate((np.zeros(3), h)), np.diag(P)) < 5
    assert error_of_covariance(x[:, :3], T * A) > 5
    assert error_of_covariance(x[:, 3:], T * 1.2 * q * q * np.eye(3)) > 5
    assert error_of_mean(x[:, :3], np.linalg.solve(A, h), np.diag(P)[:3]) > 5


def test_a_resonator_rings_at_its_frequency() -> None:
    """Without noise, one cell of a = 1, q = 5: v(t) = e^(-t/2) (cos w t - sin w t / (2 w)), w^2 = q^2 - 1/4."""
    x, q, t = np.array([[1.0, 0.0]]), 5.0, 0.0
    p, w = propagator(np.eye(1), nobody(1), 0.3, 2, q), np.sqrt(q * q - 0.25)
    for tick in range(10):
        run(x, p, np.zeros(1), 0.0, tick, 1)
        t += 0.3
        assert abs(x[0, 0] - np.exp(-t / 2) * (np.cos(w * t) - np.sin(w * t) / (2 * w))) < 1e-12


def test_held_resonators_leave_the_others_with_their_own_capacitances() -> None:
    """Held: v and i keep their values; the others have covariance A_ff^-1, not (A^-1)_ff, and mean 0 whatever is held."""
    A, held = network(3, False, 4), np.array([False, True, False])
    A[0, 1] = A[1, 0] = -1.0
    x = start(6) + np.array([0.0, 7.0, 0.0, 0.0, -3.0, 0.0])
    run(x, propagator(A, held, 0.5, 2, 1.5), np.zeros(3), 1.0, 0, 80)
    assert np.all(x[:, [1, 4]] == [7.0, -3.0])
    P = np.linalg.inv(A[np.ix_(~held, ~held)])
    assert error_of_covariance(x[:, [0, 2]], P) < 5
    assert error_of_mean(x[:, [0, 2]], np.zeros(2), np.diag(P)) < 5
    assert error_of_covariance(x[:, [0, 2]], np.linalg.inv(A)[np.ix_(~held, ~held)]) > 5


def test_a_singular_capacitance_matrix_is_refused() -> None:
    with pytest.raises(ValueError, match="singular"):
        propagator(np.ones((2, 2)), nobody(2), 1.0, 2)


@pytest.mark.parametrize("order", [1, 2])
def test_bits_depend_on_nothing_but_the_tick(order: int) -> None:
    """Ticks in one call or in three, all planes or a few, in any order: the same bits. Another tick number: other bits."""
    A, h, T = network(5, True), np.linspace(-1, 1, 5), np.linspace(0.2, 2.0, 12)
    p, first = propagator(A, np.arange(5) == 2, 0.4, order), (1 << 32) - 3
    whole, parts, few, later = (np.ones((12, 5 * order)) for _ in range(4))
    live(whole, p, h, T, np.arange(12), first, 7, np.inf, KEY)
    for begin, ticks in ((0, 1), (1, 4), (5, 2)):
        live(parts, p, h, T, np.arange(12)[::-1].copy(), first + begin, ticks, np.inf, KEY)
    live(few, p, h, T, np.array([9, 4]), first, 7, np.inf, KEY)
    live(later, p, h, T, np.arange(12), first + 1, 7, np.inf, KEY)
    assert np.array_equal(whole, parts)
    assert np.array_equal(few[[4, 9]], whole[[4, 9]])
    assert np.all(np.delete(few, [4, 9], axis=0) == 1.0)
    assert not np.any(whole[:, [0, 1, 3, 4]] == later[:, [0, 1, 3, 4]])
