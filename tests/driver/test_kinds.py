"""Every verb on every kind of cell, on emulated chips without errors.

Statistical tolerances are 5 standard errors, of means sqrt(var / N); looks are so far apart (12 time constants of the slowest mode or
more, unless a test says otherwise) that all N = planes x looks are taken as independent. Expected laws are those of the codes that
were programmed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import tsu_driver as tsu
from serving import config, opened
from tsu_contract.capabilities import LSB_SCALE
from tsu_emu import state as S
from tsu_emu.chip import Chip

CONTINUOUS = {"slot": 0, "colour": 100}
"""A tick of a microsecond: one time constant of the analog cells at a = 1, ten of asynchronous p-bits."""
ADC = {"count": 3, "bits": 12}
BIAS = {"dac": {"full_scale": 4.0, "bits": 10}}
CELLS: dict[str, dict[str, Any]] = {
    "pbit": {"kind": "pbit"},
    "async-pbit": {"kind": "async-pbit"},
    "pdit": {"kind": "pdit", "states": 3},
    "gaussian": {"kind": "gaussian"},
    "mixture": {"kind": "mixture", "modes": 2},
    "langevin": {"kind": "langevin"},
}
TERMS = {
    "pbit": ("h",),
    "async-pbit": ("h",),
    "pdit": ("h0", "h1", "h2"),
    "gaussian": ("h", "a"),
    "mixture": ("w0", "w1", "m0", "m1"),
    "langevin": ("h", "a", "c", "b"),
}
ANALOG = ("gaussian", "mixture", "langevin")


@contextmanager
def chip_of(kind: str, cells: int, planes: int = 64, pairs: Any = (), **more: Any) -> Iterator[tuple[Chip, tsu.Chip]]:
    """An ideal chip of a kind, loose unless pairs are given."""
    settings: dict[str, Any] = {"cell": CELLS[kind], "bias": BIAS}
    if kind in ANALOG:
        settings["adc"] = ADC
    if kind not in ("pbit", "pdit"):
        settings["timing"] = CONTINUOUS
    with opened(config({"kind": "edges", "cells": cells, "pairs": pairs}, planes, **settings | more)) as both:
        yield both


def ring(cells: int) -> list[tuple[int, int]]:
    return [(i, (i + 1) % cells) for i in range(cells)]


def biases(chip: tsu.Chip, done: tsu.Programmed) -> np.ndarray:
    """Biases that the codes stand for."""
    return done.bias_codes * (chip.capabilities.bias_lsb * LSB_SCALE)


def off(seen: np.ndarray, expected: np.ndarray) -> float:
    """Greatest deviation of the mean of independent rows from its expectation, in standard errors."""
    return float((abs(seen.mean(axis=0) - expected) / (seen.std(axis=0) / np.sqrt(len(seen)))).max())


def rows(samples: np.ndarray) -> np.ndarray:
    """(n x planes, cells)."""
    return samples.reshape(-1, samples.shape[-1])


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x)
    return e / e.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("kind", list(CELLS))
def test_one_surface_for_all(kind: str) -> None:
    """Kind, terms, and types and shapes of what is read; 5 cells in 3 planes fill no window row to a whole word."""
    dtype = {"pbit": np.int8, "async-pbit": np.int8, "pdit": np.uint8}.get(kind, np.float64)
    with chip_of(kind, 5, planes=3) as (_, chip):
        assert (chip.kind, chip.terms) == (kind, TERMS[kind])
        assert kind in repr(chip)
        assert kind in chip._repr_html_()
        terms = len(TERMS[kind])
        values = np.zeros((5, terms))
        values[:, -1] = 1.0
        done = chip.program_couplings(h=values if terms > 1 else values[:, 0])
        assert done.bias_codes.shape == ((5, terms) if terms > 1 else (5,))
        assert chip.anneal(tsu.Linear(2.0, 1.0, 20)).sweeps == 20
        seen = chip.read()
        assert (seen.dtype, seen.shape) == (dtype, (3, 5))
        assert np.array_equal(chip.read(), seen)
        chip.enable_planes([0, 2])
        samples = chip.sample(4, every=2, burn=1)
        assert (samples.dtype, samples.shape) == (dtype, (4, 2, 5))
        assert np.array_equal(samples[-1], chip.read()[[0, 2]])
        assert np.isnan(chip.read()[1]).all() if kind in ANALOG else np.array_equal(chip.read()[1], seen[1])
        assert chip.sample(0).shape == (0, 2, 5)
        chip.enable_planes(0)
        assert chip.sample(3).shape == (3, 0, 5)
        assert chip.read().shape == (3, 5)


def test_samples_of_one_call_are_those_of_many() -> None:
    """Bit for bit, whatever goes over the link in one message."""
    seen = []
    for limit in (65536, 30):
        with chip_of("langevin", 3, planes=2) as (_, chip):
            chip.program_couplings(h=[[0.5, 1, 0, 0]] * 3)
            limits = chip._session.limits
            chip._session.limits = type(limits)(limit, limits.payload_bytes, limits.frames)
            seen.append(chip.sample(20, every=3))
    assert np.array_equal(*seen)
    assert len(np.unique(seen[0])) > 100


def test_gaussian_samples_have_the_inverse_of_the_matrix() -> None:
    """Mean A^-1 h, covariance T A^-1, of 12,800 draws; standard error of an element of the covariance sqrt((c_ii c_jj + c_ij^2) / N).

    Measured 3.4 at T = 1 and 3.2 at T = 2 (of 15 elements). Power: the samples at T = 2 are more than 30 standard errors from T = 1's law.
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
        chip.program_couplings()
        chip.run(100_000)
        assert chip.read_register("FABRIC.SWEEP") > 100_000


def test_loose_pdits_follow_the_softmax() -> None:
    """P(k) = softmax(h / T) to 5 standard errors sqrt(p (1 - p) / N), N = 12,800. Power: biases half or twice as strong are > 15 off."""
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
    """Two pdits with J on their agreement: P(s_0 = s_1) = e^J / (e^J + 2); looks 4 sweeps apart, r < .02. Power: J = 0 is > 20 off."""
    with chip_of("pdit", 2, pairs=[(0, 1)]) as (_, chip):
        done = chip.program_couplings(([[0, 1]], [1.0]))
        J = done.coupling_codes[0] * chip.capabilities.coupling_lsb * LSB_SCALE
        s = rows(chip.sample(200, every=4, burn=20))
        same = (s[:, :1] == s[:, 1:]).astype(float)
        assert off(same, np.exp(J) / (np.exp(J) + 2)) < 5
        assert off(same, np.array(1 / 3)) > 20


def test_langevin_cells_follow_their_potentials() -> None:
    """<x> and <x^2> of V = a/2 x^2 + c/3 x^3 + b/4 x^4 - h x against quadrature, N = 12,800, with .005 allowed for the integrator's step.

    The first cell is harmonic: h / a and T / a + (h / a)^2. Power: terms in another order are > 15 standard errors off.
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
        assert off(seen, moments(meant[:, [0, 1, 3, 2]] + [0, 0, 0, 0.1])) > 15


def test_mixture_cells_choose_modes_and_show_values() -> None:
    """2,560 cells at one moment: modes as softmax(w), <x> = sum P m; a cell's value lies nearer to its mode's mean than to the other's
    unless it has just changed modes (mode_tau is 10 tau, stiffness 4: under 10 %). Power: with w turned round the shares are > 15 off."""
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


def test_pdits_are_clamped_to_states() -> None:
    with chip_of("pdit", 5, planes=3) as (_, chip):
        chip.clamp([1, 4], [2, 0])
        chip.clamp([0], [[1], [2]], planes=[2, 1])
        states = chip.sample(30)
        assert (states[:, :, [1, 4]] == [2, 0]).all()
        assert (states[:, 2, 0] == 1).all()
        assert (states[:, 1, 0] == 2).all()
        assert len(np.unique(states[:, 0, 0])) == 3
        chip.unclamp([1], planes=[1])
        states = chip.sample(30)
        assert len(np.unique(states[:, 1, 1])) == 3
        assert (states[:, [0, 2], 1] == 2).all()
        chip._bus.shadow.clear()
        chip.clamp([3], [1])
        states = chip.sample(5)
        assert (states[:, :, 3] == 1).all()
        assert (states[:, :, 4] == 0).all()
        for values, message in (
            ([3], r"clamp value 3 at index \(0,\); a state 0 .. 2 is expected"),
            ([-1], "clamp value -1"),
            ([1.0], r"clamp value 1.0 .*a state 0 .. 2"),
            ([True], "clamp value True"),
        ):
            with pytest.raises(tsu.HostError, match=message):
                chip.clamp([0], values)


@pytest.mark.parametrize("kind", ANALOG)
def test_analog_cells_are_clamped_to_values(kind: str) -> None:
    """To half a step of PIN and half of the converter's; 5 cells, so that rows of PIN begin in the midst of words."""
    with chip_of(kind, 5, planes=3) as (_, chip):
        h = np.zeros((5, len(chip.terms)))
        h[:, 1] = 1.0
        chip.program_couplings(h=h)
        chip.clamp([1], [0.7])
        chip.clamp([4, 0], [-3.3, 7.99], planes=[1])
        reach = 8.0
        step = reach * (0.5 / 2048 + 1 / 4096)
        x = chip.sample(20, every=2)
        assert np.abs(x[:, :, 1] - 0.7).max() <= step
        assert np.abs(x[:, 1, [4, 0]] - [-3.3, 7.99]).max() <= step
        assert x[:, [0, 2]][:, :, [0, 4]].std(axis=0).min() > 0.1
        chip.unclamp()
        assert chip.sample(20, every=2).std(axis=0).min() > 0.1
        for wrong in (8.0, -8.01, np.nan, np.inf):
            with pytest.raises(tsu.HostError, match=r"clamp value .* at index \(0,\); a value in -8 .. 7.99609 is expected"):
                chip.clamp([0], [wrong])


def test_a_clamped_gaussian_cell_pulls_the_others() -> None:
    """<x_0 | x_1 = v> = J v / a, 5 standard errors of N = 6,400; J = 0 would be > 20 off."""
    with chip_of("gaussian", 2, pairs=[(0, 1)]) as (_, chip):
        chip.program_matrix([[2.0, -1.0], [-1.0, 2.0]])
        chip.clamp([1], [2.0])
        x = rows(chip.sample(100, every=8, burn=20))[:, :1]
        assert off(x, np.array([1.0])) < 5
        assert off(x, np.array([0.0])) > 20


def test_what_the_host_gets_wrong() -> None:
    with chip_of("gaussian", 3, planes=2, pairs=[(0, 1)]) as (_, chip):
        calls: list[tuple[Callable[[], Any], str]] = [
            (lambda: chip.program_couplings(h=np.zeros(3)), r"biases of shape \(3,\); \(3, 2\) is expected, .* h, a"),
            (lambda: chip.program_couplings(h=[[0, 1], [0, np.inf], [0, 1]]), "term a of cell 1 is inf"),
            (lambda: chip.program_matrix(np.eye(2)), r"matrix of shape \(2, 2\); \(3, 3\)"),
            (lambda: chip.program_matrix(np.diag([1, -1, 1])), "not positive definite: its least eigenvalue is -1"),
            (lambda: chip.program_matrix(np.eye(3) + np.eye(3, k=1) / 4), r"not symmetric: \(0, 1\) is 0.25, \(1, 0\) is 0.0"),
            (lambda: chip.program_matrix(np.full((3, 3), np.nan)), r"element \(0, 0\) of the matrix is nan"),
            (lambda: chip.program_matrix(np.eye(3) + (np.eye(3, k=1) + np.eye(3, k=-1)) / 4), "no coupler through which"),
            (lambda: chip.read_states(), "only pdits and mixture cells have states; .* of the kind gaussian"),
            (
                lambda: chip.configure_correlator(data_planes=1, free_planes=1, tau_data=1, tau_free=1),
                "correlators average spins; this chip's cells are of the kind gaussian",
            ),
        ]
        for call, message in calls:
            with pytest.raises(tsu.HostError, match=message):
                call()
        assert chip.program_matrix(np.diag([1.0, 99, 1])).clipped == 1
    with chip_of("pdit", 2) as (_, chip):
        for call, message in (
            (lambda: chip.program_matrix(np.eye(2)), "gaussian cells; this chip's cells are of the kind pdit"),
            (lambda: chip.convert("external"), "no converters"),
            (lambda: chip.hold(True), "no converters"),
            (lambda: chip.adc_value([0], "cell"), "no converters"),
            (lambda: chip.set_adc_trims(0, 0), "no converters"),
        ):
            with pytest.raises(tsu.HostError, match=message):
                call()


def test_a_scan_as_long_as_many_sweeps_is_waited_for() -> None:
    """64 planes of 40 cells through one converter: 47,000 cycles a look, beside 106 of the sweep. In rolling mode the cells live on."""
    with chip_of("langevin", 40, adc={"count": 1, "bits": 12}) as (_, chip):
        chip.program_couplings(h=[[0, 1.0, 0, 0]] * 40)
        assert np.isfinite(chip.sample(3)).all()
        assert chip.read_register("FABRIC.SWEEP") == 3
        chip.hold(False)
        chip.sample(1)
        assert chip.read_register("FABRIC.SWEEP") == 4 + 63 * 40 * 18 // 100 + (40 * 18 - 14) // 100 + 1
        chip.hold(True)
        chip.read()
        assert chip.read_register("FABRIC.SWEEP") == 4 + 64 * 40 * 18 // 100
