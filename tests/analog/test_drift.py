"""Drift: a pure function of the epoch, with the laws and the Allan deviations of its three kinds.

n elements are n independent series: a mean of n products of unit normal variables with correlation r has the standard error
sqrt((1 + r^2) / n). For Allan deviations see `within_bounds`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from reference.noise import normal_of, threefry
from tsu_apps.characterise.allan import allan_deviation, expected_deviation, log_slope, within_bounds
from tsu_emu.noise.drift import BLOCK, LAST_EPOCH, Flicker, Ou, Walk, corner_times, empty_cache, ou_tree, value_at
from tsu_emu.noise.streams import Stream

TEN_YEARS = 1 << 38
"""Epochs of 1.3 ms, nearly."""

Floats = NDArray[np.float64]


class Source(Protocol):
    def at(self, epoch: int) -> Floats: ...


def key(component: int = 0, seed: int = 12345678901234567) -> NDArray[np.uint32]:
    return np.array([seed & 0xFFFFFFFF, seed >> 32, Stream.DRIFT, component], np.uint32)


def series(source: Source, epochs: Iterable[int]) -> Floats:
    """(n, epochs) values."""
    return np.array([source.at(int(e)) for e in epochs]).T


SOURCES: dict[str, Callable[[int], Source]] = {
    "white": lambda n: Ou(key(), n, 0.01),
    "ou 0.7": lambda n: Ou(key(), n, 0.7),
    "ou 1 h": lambda n: Ou(key(), n, 2.8e6),
    "ou 2^40": lambda n: Ou(key(), n, 2.0**40),
    "walk": lambda n: Walk(key(), n),
    "flicker": lambda n: Flicker(key(), n, 1e-6, 0.3),
}


class Redrawn:
    """Wrong on purpose: a new value for each reading."""

    def __init__(self, n: int) -> None:
        self.rng, self.n = np.random.default_rng(0), n

    def at(self, epoch: int) -> Floats:
        return self.rng.normal(size=self.n)


class Advanced(Redrawn):
    """Wrong on purpose: the exact jump from the last reading, equal to an OU in law only."""

    last = 0
    value: Floats = np.zeros(1)

    def at(self, epoch: int) -> Floats:
        rho = math.exp(-abs(epoch - self.last) / 50)
        self.last, self.value = epoch, rho * self.value + math.sqrt(1 - rho * rho) * self.rng.normal(size=self.n)
        return self.value.copy()


def is_pure(make: Callable[[int], Source]) -> bool:
    """Whether readings forward, backward, in random order, twice, among others and by a source of their own are the same bits."""
    rng = np.random.default_rng(1)
    epochs = [*range(70), 4095, 4096, 4097, *(TEN_YEARS + np.arange(-40, 40)), LAST_EPOCH - 1, LAST_EPOCH]
    epochs += [int(e) for e in rng.integers(0, TEN_YEARS, 60)]
    alone = {e: make(70).at(e) for e in epochs}
    source = make(70)
    shuffled = [int(e) for e in rng.permutation(epochs)]
    extra = [x for e in shuffled for x in (int(rng.integers(0, e + 1)), e, e, min(e + 1, LAST_EPOCH), e)]
    for order in (sorted(epochs), sorted(epochs, reverse=True), shuffled, extra):
        for one in (source, make(70)):
            for e in order:
                value = one.at(e)
                if e in alone and value.tobytes() != alone[e].tobytes():
                    return False
    return True


@pytest.mark.parametrize("name", SOURCES)
def test_a_value_depends_on_the_epoch_alone(name: str) -> None:
    assert is_pure(SOURCES[name])


@pytest.mark.parametrize("wrong", [Redrawn, Advanced])
def test_what_is_redrawn_or_advanced_per_reading_is_not_pure(wrong: Callable[[int], Source]) -> None:
    assert not is_pure(wrong)


def deviate(element: int, epoch: int) -> float:
    """By the independent model of the generator."""
    k0, k1, k2, k3 = (int(k) for k in key())
    a, b, _, _ = threefry((k0, k1, k2, k3), (element, 0, epoch & 0xFFFFFFFF, epoch >> 32))
    return normal_of(a, b)


def ou_by_definition(element: int, epoch: int, top: int, tau: float) -> float:
    """By recursion from nodes `top` apart, without a cache."""
    if epoch % top == 0:
        return deviate(element, epoch)
    h = epoch & -epoch
    a, b = ou_by_definition(element, epoch - h, top, tau), ou_by_definition(element, epoch + h, top, tau)
    return (a + b) / (2 * math.cosh(h / tau)) + math.sqrt(math.tanh(h / tau)) * deviate(element, epoch)


def walk_by_definition(element: int, epoch: int) -> float:
    """By recursion from 0 to 2^46, without a cache."""
    if epoch in (0, LAST_EPOCH):
        return math.sqrt(epoch) * deviate(element, epoch)
    h = epoch & -epoch
    middle = (walk_by_definition(element, epoch - h) + walk_by_definition(element, epoch + h)) / 2
    return middle + math.sqrt(h / 2) * deviate(element, epoch)


@pytest.mark.parametrize("tau", [0.01, 0.7, 3.0, 1e5, 2.8e6])
def test_an_ou_is_bisected_as_defined(tau: float) -> None:
    """To 1e-13: the hyperbolic functions are the library's here."""
    top = next(1 << m for m in range(47) if 1 << m >= 40 * tau)
    source = Ou(key(), 3, tau)
    for epoch in (0, 1, 2, 6, 1000, 2**20 + 3, TEN_YEARS - 1, TEN_YEARS, LAST_EPOCH):
        assert np.allclose(source.at(epoch), [ou_by_definition(e, epoch, top, tau) for e in range(3)], rtol=0, atol=1e-13)


def test_a_walk_is_bisected_as_defined() -> None:
    source = Walk(key(), 2)
    for epoch in (0, 1, 6, 1000, TEN_YEARS + 1, TEN_YEARS, LAST_EPOCH):
        assert np.array_equal(source.at(epoch), [walk_by_definition(e, epoch) for e in range(2)])


def test_bits_are_pinned() -> None:
    """The same on every machine and in every version."""
    found = " ".join(SOURCES[name](2).at(TEN_YEARS + 5)[1].hex() for name in SOURCES)
    assert found == (
        "0x1.ef474965424c9p-3 0x1.404fb1fd945b1p-2 -0x1.d2bf45359d1b5p-1 "
        "-0x1.0600f3c68c2efp+0 -0x1.c8b160888ac97p+17 0x1.a2195d6d37c68p-1"
    )


def test_an_element_does_not_depend_on_which_others_are_asked_for() -> None:
    tree = ou_tree(500.0)
    out, part = np.empty(300), np.empty(131)
    whole, some = empty_cache(tree, 300), empty_cache(tree, 131)
    for epoch in (77, 78, TEN_YEARS + 1):
        value_at(key(), 0, epoch, tree, whole, out)
        value_at(key(), 67, epoch, tree, some, part)
        assert np.array_equal(part, out[67:198])


@pytest.mark.parametrize("n", [1, BLOCK, 2 * BLOCK + 3])
def test_many_elements_are_made_in_blocks_with_a_look_after_each(n: int) -> None:
    """Blocks end where the process does, and a look that ends the run leaves the process as good as before."""
    tree, out, looks = ou_tree(500.0), np.empty(n), []
    source, blocks = Ou(key(), n, 500.0), -(-n // BLOCK)

    def stop() -> None:
        raise KeyboardInterrupt

    for epoch in (77, TEN_YEARS + 1):
        with pytest.raises(KeyboardInterrupt):
            source.at(epoch, stop)
        value_at(key(), 0, epoch, tree, empty_cache(tree, n), out)
        assert np.array_equal(source.at(epoch, partial(looks.append, epoch)), out)
        assert looks.count(epoch) == blocks
    band = 1e-3, 1e-1
    Flicker(key(), n, *band).at(77, partial(looks.append, 0))
    assert looks.count(0) == blocks * len(corner_times(*band))


def test_readings_of_consecutive_epochs_draw_one_node_each() -> None:
    for source in (Ou(key(), 1, 1e6), Walk(key(), 1)):
        source.at(TEN_YEARS - 1)
        drawn = 0
        for epoch in range(TEN_YEARS, TEN_YEARS + 4096):
            ((_, cache),) = source._blocks
            before = cache.position.copy()
            source.at(epoch)
            drawn += int(np.count_nonzero(cache.position != before))
        assert 4096 <= drawn <= 4096 + 60


def test_ranges_are_kept() -> None:
    for tau in (0.0099, 2.0**40 * 1.001, math.nan, -1.0):
        with pytest.raises(ValueError, match="correlation time"):
            ou_tree(tau)
    for epoch in (-1, LAST_EPOCH + 1):
        with pytest.raises(ValueError, match="epoch"):
            Walk(key(), 1).at(epoch)
    for band in ((0.0, 1.0), (0.1, 0.01)):
        with pytest.raises(ValueError, match="band"):
            corner_times(*band)


N = 20_000


def agrees(x: Floats, expected: Floats) -> bool:
    """Whether the second moments of x (n, k) are within five standard errors, sqrt((v_i v_j + c_ij^2) / n), of those expected."""
    v = np.diag(expected)
    return bool(np.all(np.abs(x.T @ x / len(x) - expected) < 5 * np.sqrt((np.outer(v, v) + expected**2) / len(x))))


@pytest.mark.parametrize("tau", [0.3, 7.0, 1000.0, 2.0**40])
def test_an_ou_is_stationary_with_its_correlation_at_every_distance(tau: float) -> None:
    """Second moments of epochs on both sides of coarse nodes, up to 4 tau apart; another tau, twice or half, must not agree."""
    steps = np.array([0, 1, 2, 5, 0.1 * tau, 0.5 * tau, tau, 2 * tau, 4 * tau]).astype(np.int64)
    for start in (3, (1 << 44) - int(tau) - 1):
        epochs = np.unique(start + steps)
        found = series(Ou(key(), N, tau), epochs)
        distance = np.abs(epochs[:, None] - epochs)
        assert agrees(found, np.exp(-distance / tau))
        for wrong in (0.5 * tau, 2 * tau):
            assert tau < 1 or not agrees(found, np.exp(-distance / wrong))


def test_elements_components_and_blocks_are_independent() -> None:
    """Mean products below 5 / sqrt(n); the same component gives 1."""
    tau, epoch = 100.0, 123456
    base = Ou(key(), N, tau).at(epoch)
    others = [Ou(key(1), N, tau).at(epoch), Walk(key(2), N).at(epoch) / math.sqrt(epoch), Ou(key(), N, tau).at(epoch + 4096)]
    others += [np.roll(base, k) for k in (1, 2, 64)] + [Ou(key(seed=3), N, tau).at(epoch)]
    for other in others:
        assert abs(np.mean(base * other)) < 5 / math.sqrt(N)
    assert np.mean(base * Ou(key(), N, tau).at(epoch)) > 0.9


def test_a_walk_starts_at_0_and_has_independent_increments_of_variance_equal_to_time() -> None:
    """Second moments of increments against a diagonal of durations; a doubled one fails, and so does an OU's."""
    epochs = np.array([0, 1, 2, 3, 10, 1000, 1001, 1 << 20, TEN_YEARS - 7, TEN_YEARS + 9, 1 << 45, LAST_EPOCH - 1, LAST_EPOCH])
    values = series(Walk(key(), N), epochs)
    duration = np.diff(epochs).astype(np.float64)
    scaled = np.diff(values, axis=1) / np.sqrt(duration)
    assert np.all(values[:, 0] == 0)
    assert agrees(scaled, np.eye(len(duration)))
    assert agrees(values[:, 1:], np.minimum.outer(epochs[1:], epochs[1:]).astype(float))
    assert not agrees(math.sqrt(2) * scaled, np.eye(len(duration)))
    ou = np.diff(series(Ou(key(), N, 50.0), epochs), axis=1) / np.sqrt(duration)
    assert not agrees(ou, np.eye(len(duration)))


def test_flicker_is_a_smooth_1_over_f_of_unit_variance() -> None:
    """Ripple below .004 dB mid-band (fails with one OU per decade), level 2 / (K ln 10), unit variance in every reading."""
    tau, f = np.array(corner_times(1e-10, 1.0)), np.logspace(-6, -4, 401)
    parts = f[:, None] * 4 * tau / (1 + (2 * np.pi * np.outer(f, tau)) ** 2)
    assert len(tau) == 21
    assert np.ptp(10 * np.log10(parts.sum(axis=1))) < 2 * 0.004
    assert np.ptp(10 * np.log10(parts[:, ::2].sum(axis=1))) > 0.4
    assert np.allclose(parts.mean(axis=1), 2 / (21 * math.log(10)), rtol=1e-3)
    values = series(Flicker(key(), N, 1e-8, 0.1), [0, 7, TEN_YEARS + 1])
    assert np.all(np.abs(np.mean(values**2, axis=0) - 1) < 5 * math.sqrt(2 / N))
    assert [p._key[3] for p in Flicker(key(4), 1, 0.01, 0.1).parts] == [4, 5, 6]


SERIES = 2000
START = TEN_YEARS - 300


def readings(source: Source, count: int) -> Floats:
    return series(source, range(START, START + count))


def test_allan_deviation_of_white_noise_falls_as_the_root_of_time() -> None:
    factors = [1, 2, 4, 8, 16, 32, 64]
    found = allan_deviation(readings(Ou(key(), SERIES, 0.01), 512), factors)
    assert within_bounds(found, 1 / np.sqrt(factors), SERIES)
    assert abs(log_slope(factors, found) + 0.5) < 0.1
    coloured = allan_deviation(readings(Ou(key(), SERIES, 20.0), 512), factors)
    assert abs(log_slope(factors, coloured) + 0.5) > 0.1


def test_allan_deviation_of_a_walk_rises_as_sqrt_q_t_over_3() -> None:
    """Readings are instants, not averages: q (2 m^2 + 1) / (6 m), so q m / 3 for large m. Twice or half of q must fail."""
    factors = [1, 2, 4, 8, 16, 32, 64, 128]
    m = np.array(factors)
    found = allan_deviation(readings(Walk(key(), SERIES), 512), factors)
    assert within_bounds(found, np.sqrt((2 * m**2 + 1) / (6 * m)), SERIES)
    assert within_bounds(found[3:], np.sqrt(m[3:] / 3), SERIES)
    assert abs(log_slope(factors[3:], found[3:]) - 0.5) < 0.1
    for q in (0.5, 2.0):
        assert not within_bounds(math.sqrt(q) * found[3:], np.sqrt(m[3:] / 3), SERIES)


def test_allan_deviation_of_flicker_has_a_flat_floor() -> None:
    """sqrt(2 ln 2 h), h = 2 / (K ln 10) of unit variance; an OU in its place is not flat, double the power is not at the floor.

    Below m = 16 what readings of instants alias adds more than 3 %, so there only the exact curve of the sum of OUs is compared.
    """
    factors = [4, 8, 16, 32, 64, 128]
    source = Flicker(key(), SERIES, 1e-5, 1.0)
    floor = math.sqrt(2 * math.log(2) * 2 / (len(source.parts) * math.log(10)))
    found = allan_deviation(readings(source, 512), factors)
    covariance = np.mean([np.exp(-np.arange(256) / tau) for tau in corner_times(1e-5, 1.0)], axis=0)
    assert within_bounds(found, np.array([expected_deviation(covariance, m) for m in factors]), SERIES)
    assert within_bounds(found[2:], floor, SERIES)
    assert abs(log_slope(factors, found)) < 0.1
    assert not within_bounds(math.sqrt(2) * found[2:], floor, SERIES)
    other = allan_deviation(readings(Ou(key(), SERIES, 1000.0), 512), factors)
    assert abs(log_slope(factors, other)) > 0.1


def test_allan_deviation_of_an_ou_peaks_at_617_thousandths_after_1_89_tau() -> None:
    """The curve over five octaves, highest of them at 1.89 tau; with tau doubled it fails and has its peak an octave later."""
    tau, factors = 32.0, [8, 15, 30, 60, 121, 242]
    curve = np.array([expected_deviation(np.exp(-np.arange(2 * m) / tau), m) for m in factors])
    found = allan_deviation(readings(Ou(key(), SERIES, tau), 600), factors)
    assert within_bounds(found, curve, SERIES)
    assert within_bounds(found[3:4], 0.617, SERIES)
    assert np.argmax(found) == 3
    other = allan_deviation(readings(Ou(key(), SERIES, 2 * tau), 600), factors)
    assert not within_bounds(other, curve, SERIES)
    assert np.argmax(other) == 4
