"""What every kind of cell samples from, through the driver, on emulated chips without errors.

Statistical tolerances are 5 standard errors, of means sqrt(var / N); looks are so far apart (12 time constants of the slowest
mode or more, unless a test says otherwise) that all N = planes x looks are taken as independent. Expected laws are those of the
codes that were programmed.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from driver.kinds import biases, chip_of, ring
from tsu_contract.capabilities import LSB_SCALE


def off(seen: np.ndarray, expected: np.ndarray) -> float:
    """Greatest deviation of the mean of independent rows from its expectation, in standard errors."""
    return float((abs(seen.mean(axis=0) - expected) / (seen.std(axis=0) / np.sqrt(len(seen)))).max())


def rows(samples: np.ndarray) -> np.ndarray:
    """(n x planes, cells)."""
    return samples.reshape(-1, samples.shape[-1])


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x)
    return e / e.sum(axis=-1, keepdims=True)


def test_gaussian_samples_have_the_inverse_of_the_matrix() -> None:
    """Mean A^-1 h, covariance T A^-1, of 12,800 draws; an element of the covariance has the error sqrt((c_ii c_jj + c_ij^2) / N).

    Power: samples at T = 2 are more than 30 standard errors from the law of T = 1.
    """
    with chip_of("gaussian", 5, pairs=ring(5)) as (_, chip):
        A = np.diag([1.5, 2.0, 2.5, 1.5, 2.0])
        for (i, j), v in zip(ring(5), (0.5, -0.4, 0.3, -0.6, 0.2), strict=True):
            A[i, j] = A[j, i] = v
        done = chip.program_matrix(scipy.sparse.csr_matrix(A), h=[0.5, 0, -0.5, 0, 1])
        assert done.clipped == 0
        terms = biases(chip, done)
        t = chip.topology
        meant = np.diag(terms[:, 1])
        meant[t.target, t.source] = -done.coupling_codes * (chip.capabilities.coupling_lsb * LSB_SCALE)
        assert np.abs(meant - A).max() < 0.01
        inverse = np.linalg.inv(meant)
        deviations = []
        for T in (1.0, 2.0):
            chip.set_temperature(T)
            x = rows(chip.sample(200, every=16, burn=50))
            assert off(x, inverse @ terms[:, 0]) < 5
            for law in (inverse, T * inverse):
                d = np.diag(law)
                error = np.sqrt((np.outer(d, d) + law**2) / len(x))
                deviations.append(float((abs(np.cov(x.T) - law) / error).max()))
        assert max(deviations[0], deviations[1], deviations[3]) < 5
        assert deviations[2] > 30
        assert not chip.read_register("SYS.ERROR.UNSTABLE")
        chip.program_couplings(h=[[0, -1]] * 5)
        chip.run(100)
        assert chip.read_register("SYS.ERROR.UNSTABLE")


def test_loose_pdits_follow_the_softmax() -> None:
    """P(k) = softmax(h / T) to 5 standard errors sqrt(p (1 - p) / N), N = 12,800.

    Power: biases half or twice as strong are > 15 off.
    """
    h = np.array([[0.0, 0.5, 1.0], [1.0, -1.0, 0.0], [0.3, 0.3, 0.3]])
    with chip_of("pdit", 3) as (_, chip):
        meant = biases(chip, chip.program_couplings(h=h))
        chip.set_temperature(2.0)
        states = rows(chip.sample(200))
        seen = np.stack([(states == k).mean(axis=0) for k in range(3)], axis=1)

        def deviation(law: np.ndarray) -> float:
            return float((abs(seen - law) / np.sqrt(law * (1 - law) / len(states))).max())

        assert deviation(softmax(meant / 2)) < 5
        assert deviation(softmax(meant / 4)) > 15
        assert deviation(softmax(meant)) > 15
        assert np.array_equal(chip.read_states(), chip.read())


def test_coupled_pdits_agree() -> None:
    """Two pdits with J on their agreement: P(s_0 = s_1) = e^J / (e^J + 2); looks 4 sweeps apart, r < .02.

    Power: J = 0 is > 20 off.
    """
    with chip_of("pdit", 2, pairs=[(0, 1)]) as (_, chip):
        done = chip.program_couplings(([[0, 1]], [1.0]))
        J = done.coupling_codes[0] * (chip.capabilities.coupling_lsb * LSB_SCALE)
        s = rows(chip.sample(200, every=4, burn=20))
        same = (s[:, :1] == s[:, 1:]).astype(float)
        assert off(same, np.exp(J) / (np.exp(J) + 2)) < 5
        assert off(same, np.array(1 / 3)) > 20


def test_langevin_cells_follow_their_potentials() -> None:
    """<x> and <x^2> of V = a/2 x^2 + c/3 x^3 + b/4 x^4 - h x against quadrature, N = 12,800; .005 allowed for the integrator.

    The first cell is harmonic: h / a and T / a + (h / a)^2. Power: c of the other sign, or b half as great again, is > 15 off.
    """
    h = np.array([[0.5, 2, 0, 0], [0, 0, 0, 1], [0, 1, 0.5, 1], [0.3, -1, 0, 1]])

    def moments(terms: np.ndarray) -> np.ndarray:
        x = np.linspace(-8, 8, 20001)[:, None]
        force, a, c, b = terms.T
        p = np.exp(-(a / 2 * x**2 + c / 3 * x**3 + b / 4 * x**4 - force * x))
        return np.concatenate([(x**k * p).sum(axis=0) / p.sum(axis=0) for k in (1, 2)])

    with chip_of("langevin", 4) as (_, chip):
        meant = biases(chip, chip.program_couplings(h=h))
        x = rows(chip.sample(200, every=24, burn=100))
        seen = np.concatenate([x, x**2], axis=1)
        expected = moments(meant)
        assert expected[4] == pytest.approx(1 / meant[0, 1] + (meant[0, 0] / meant[0, 1]) ** 2, rel=1e-6)
        slack = 0.005 * np.sqrt(len(seen)) / seen.std(axis=0).min()
        assert off(seen, expected) < 5 + slack
        for wrong in ([1, 1, -1, 1], [1, 1, 1, 1.5]):
            assert off(seen, moments(meant * wrong)) > 15


def test_mixture_cells_choose_modes_and_show_values() -> None:
    """2,560 cells at one moment: modes as softmax(w), <x> = sum P m; a value lies nearer to its mode's mean than to the other's
    unless the cell has just changed modes (mode_tau is 10 tau, stiffness 4: under 10 %).

    Power: with w turned round the shares are > 15 off.
    """
    with chip_of("mixture", 40) as (_, chip):
        done = chip.program_couplings(h=[[0.5, -0.5, -2.0, 2.0]] * 40)
        w0, w1, m0, m1 = biases(chip, done)[0]
        p = softmax(np.array([w0, w1]))
        chip.run(200)
        modes, x = chip.read_states().ravel(), chip.read().ravel()
        assert modes.dtype == np.uint8
        assert off(modes[:, None].astype(float), p[1]) < 5
        assert off(modes[:, None].astype(float), p[0]) > 15
        assert off(x[:, None], p @ [m0, m1]) < 5
        assert np.mean((x > 0) == (modes == 1)) > 0.9


def test_asynchronous_pbits_follow_their_bias() -> None:
    """<s> = tanh h, N = 12,800; looks 10 retention times apart. Power: twice the bias is > 20 standard errors off."""
    with chip_of("async-pbit", 2) as (_, chip):
        h = biases(chip, chip.program_couplings(h=[0.3, -0.7]))
        s = rows(chip.sample(200, burn=10)).astype(float)
        assert off(s, np.tanh(h)) < 5
        assert off(s, np.tanh(2 * h)) > 20


def test_a_clamped_gaussian_cell_pulls_the_others() -> None:
    """<x_0 | x_1 = v> = J v / a, 5 standard errors of N = 6,400; J = 0 would be > 20 off."""
    with chip_of("gaussian", 2, pairs=[(0, 1)]) as (_, chip):
        chip.program_matrix([[2.0, -1.0], [-1.0, 2.0]])
        chip.clamp([1], [2.0])
        x = rows(chip.sample(100, every=8, burn=20))[:, :1]
        assert off(x, np.array([1.0])) < 5
        assert off(x, np.array([0.0])) > 20
