"""Laws of stochastic layers: means, draws, gradients and scores of the twin, against closed forms, quadrature and simulation."""

from __future__ import annotations

import numpy as np
import pytest

from tsu_apps.layers import Law, Pbit, Pdit, Pmode, Pmog, Quartic, TwinLayer
from tsu_apps.layers.laws import Floats
from tsu_apps.layers.quartic import DRIVES

LAWS: dict[str, Law] = {
    "p-bit": Pbit(),
    "pdit": Pdit(4),
    "pmode": Pmode(stiffness=1.5, window=0.7),
    "pmog": Pmog(3, stiffness=4.0),
    "quartic": Quartic(a=0.5, c=0.4, b=1.0, window=0.8),
}
DRAWS, UNITS = 20_000, 12


def drives(law: Law, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).uniform(-1.5, 1.5, (UNITS, *law.drive_shape))


def in_errors(values: Floats, expected: Floats) -> float:
    """Greatest deviation of the means of (DRAWS, ..) values, in standard errors."""
    error = values.std(axis=0) / np.sqrt(len(values))
    return float(np.max(np.abs(values.mean(axis=0) - expected) / error))


@pytest.mark.parametrize("name", LAWS)
def test_draws_have_the_mean_of_the_law(name: str) -> None:
    """20,000 draws of 12 units within 5 standard errors; the mean at the doubled drive is more than 20 away."""
    law, drive = LAWS[name], drives(LAWS[name])
    draws = TwinLayer(law, seed=1).draw(drive, DRAWS)
    assert draws.shape == (DRAWS, UNITS, *law.output_shape)
    assert in_errors(draws, law.mean(drive)) < 5
    assert in_errors(draws, law.mean(2 * drive)) > 20


@pytest.mark.parametrize("name", LAWS)
def test_pull_is_the_derivative_of_the_mean(name: str) -> None:
    """Against central differences of 1e-4; of tables that a spline interpolates to 1e-5."""
    law, drive = LAWS[name], drives(LAWS[name])
    upstream = np.random.default_rng(2).normal(size=law.mean(drive).shape)
    pulled = law.pull(drive, upstream)
    assert pulled.shape == drive.shape
    for place in np.ndindex(*law.drive_shape):
        step = np.zeros(law.drive_shape)
        step[place] = 1e-4
        change = (law.mean(drive + step) - law.mean(drive - step)) / 2e-4
        expected = (change * upstream).reshape(UNITS, -1).sum(axis=1)
        np.testing.assert_allclose(pulled[(slice(None), *place)], expected, atol=1e-5)


@pytest.mark.parametrize("name", LAWS)
def test_the_score_has_mean_0_and_its_covariance_with_the_output_is_the_slope(name: str) -> None:
    """E[score] = 0 and E[score x] = d mean / d drive within 5 standard errors; twice the slope, or none, is not.

    Of the quartic law, whose tables are linear between drives .25 apart, plus 1 % of the slope.
    """
    law = LAWS[name]
    one = drives(law)[:1]
    draws = law.sample(np.repeat(one, 200_000, axis=0), np.random.default_rng(3))
    upstream = np.ones(one.shape if law.output_shape else 1)
    if law.output_shape:
        upstream = np.zeros((1, *law.output_shape))
        upstream[0, 0] = 1.0
    score = law.score(np.repeat(one, len(draws), axis=0), draws)
    weighed = (draws * upstream).reshape(len(draws), -1).sum(axis=1)
    products = score * weighed.reshape(-1, *[1] * (score.ndim - 1))
    slope = law.pull(one, upstream)[0]
    error, slack = products.std(axis=0) / np.sqrt(len(draws)), 0.01 * np.abs(slope) * (name == "quartic")
    assert in_errors(score, np.zeros_like(slope)) < 5
    assert np.all(np.abs(products.mean(axis=0) - slope) < 5 * error + slack)
    assert np.max(np.abs(products.mean(axis=0) - 2 * slope) / (5 * error + slack)) > 2
    assert np.max(np.abs(products.mean(axis=0)) / (5 * error + slack)) > 2


@pytest.mark.parametrize("name", ["p-bit", "pdit", "pmode", "quartic"])
def test_link_is_the_inverse_of_the_mean(name: str) -> None:
    law = LAWS[name]
    drive = drives(law)
    if law.drive_shape:
        drive = drive - drive.mean(axis=-1, keepdims=True)
    np.testing.assert_allclose(law.link(law.mean(drive)), drive, atol=2e-3)


def test_terms_are_those_of_the_cells() -> None:
    """Order as `chip.terms`; logits are shifted to the middle of their range, which changes no probability."""
    h = np.array([0.5, -1.0])
    np.testing.assert_array_equal(Pbit().terms(h), [[0.5], [-1.0]])
    np.testing.assert_array_equal(Pmode(2.0, 1.0).terms(h), [[0.5, 2.0], [-1.0, 2.0]])
    np.testing.assert_array_equal(Quartic(1.0, 0.5, 2.0, 1.0).terms(h), [[0.5, 1.0, 0.5, 2.0], [-1.0, 1.0, 0.5, 2.0]])
    np.testing.assert_array_equal(Pdit(3).terms(np.array([5.0, 9.0, 6.0])), [-2.0, 2.0, -1.0])
    np.testing.assert_array_equal(Pmog(2).terms(np.array([5.0, 9.0, 1.0, 3.0])), [-2.0, 2.0, 1.0, 3.0])


@pytest.mark.parametrize("window", [0.3, 1.0, 3.0])
def test_the_quartic_law_without_its_quartic_term_is_the_ornstein_uhlenbeck_law(window: float) -> None:
    """Mean and variance within .002, the error of its grid; twice the window is not, until it makes no difference."""
    quartic, exact = Quartic(a=1.0, c=0.0, b=0.0, window=window), Pmode(1.0, window)
    h = np.linspace(-3, 3, 7)
    np.testing.assert_allclose(quartic.mean(h), exact.mean(h), atol=2e-3)
    draws = quartic.sample(np.zeros(400_000), np.random.default_rng(0))
    assert abs(draws.var() / exact.variance - 1) < 5 * np.sqrt(2 / draws.size) + 0.002
    assert abs(Pmode(1.0, 2 * window).mean(h)[0] - quartic.mean(h)[0]) > 0.1


def test_the_quartic_law_ends_at_boltzmanns() -> None:
    """After 50 time constants, moments 1 to 4 of the densities at three drives equal quadrature within 1e-3."""
    law = Quartic(a=1.0, c=0.5, b=1.0, window=50.0)
    tables = law._tables
    x, step = tables.x, tables.x[1] - tables.x[0]
    for k in (0, 16, 25):
        p = np.exp(-(x**2 / 2 + 0.5 * x**3 / 3 + x**4 / 4 - DRIVES[k] * x))
        for power in (1, 2, 3, 4):
            assert abs((tables.density[k] @ x**power) * step - (p @ x**power) / p.sum()) < 1e-3


def test_the_quartic_law_is_that_of_the_langevin_equation() -> None:
    """Moments of 20,000 paths by Heun's method in 100 steps: within 5 standard errors, that of half the window not."""
    law, rng, h = Quartic(a=-0.5, c=0.3, b=0.8, window=1.0), np.random.default_rng(1), 0.9
    x, dt = np.zeros(20_000), 0.01

    def force(x: Floats) -> Floats:
        return h - x * (-0.5 + x * (0.3 + x * 0.8))

    for _ in range(100):
        noise = np.sqrt(2 * dt) * rng.standard_normal(x.size)
        ahead = x + force(x) * dt + noise
        x = x + 0.5 * (force(x) + force(ahead)) * dt + noise
    draws = law.sample(np.full(400_000, h), rng)
    for power in (1, 2):
        error = (x**power).std() * np.sqrt(1 / x.size + 1 / draws.size)
        assert abs((x**power).mean() - (draws**power).mean()) < 5 * error
    assert abs(x.mean() - Quartic(-0.5, 0.3, 0.8, 0.5).mean(np.array([h]))[0]) > 20 * x.std() / np.sqrt(x.size)


def test_beyond_its_reach_a_quartic_drive_counts_as_the_greatest() -> None:
    law = Quartic()
    assert law.mean(np.array([9.0])) == law.mean(np.array([4.0]))
    assert law.pull(np.array([9.0]), np.ones(1)) == 0.0


def test_a_twin_is_exact_sampled_and_reproducible() -> None:
    """None gives the mean of the law; averages of 30,000 lie within 5 standard errors of it; a seed gives its draws again."""
    law, drive = Pdit(3), drives(Pdit(3))
    np.testing.assert_array_equal(TwinLayer(law).average(drive, None), law.mean(drive))
    p = law.mean(drive)
    mean = TwinLayer(law, 4).average(drive, 30_000)
    assert np.all(np.abs(mean - p) < 5 * np.sqrt(p * (1 - p) / 30_000))
    first, again, other = (TwinLayer(law, seed).draw(drive, 50) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_averages_of_more_draws_than_fit_are_of_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tsu_apps.layers.twin.DRAWS_AT_ONCE", 30)
    drive = np.array([[0.3, -0.2, 0.9]])
    np.testing.assert_allclose(TwinLayer(Pbit(), 6).average(drive, 64), TwinLayer(Pbit(), 6).draw(drive, 64).mean(axis=0))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Pmode(stiffness=0.0), "Pmode.stiffness = 0.0; it must be above 0"),
        (lambda: Pmode(window=-1.0), "Pmode.window = -1.0"),
        (lambda: Pmog(3, stiffness=np.nan), "Pmog.stiffness = nan"),
        (lambda: Quartic(b=-1.0), "bind no cell"),
        (lambda: Quartic(a=1.0, c=0.1, b=0.0), "bind no cell"),
        (lambda: Quartic(window=0.0), "Quartic.window = 0.0"),
        (lambda: Pmog(2).link(np.zeros(1)), "no inverse"),
        (lambda: TwinLayer(Pdit(3)).draw(np.zeros((5, 4)), 1), r"drives of shape \(5, 4\)"),
        (lambda: TwinLayer(Pdit(3)).draw(np.zeros(()), 1), r"are \(3,\)"),
        (lambda: TwinLayer(Pbit()).average(np.array([0.0, np.inf]), None), r"drive at \(1,\) is inf"),
        (lambda: TwinLayer(Pbit()).average(np.zeros(2), 0), "samples = 0; at least 1"),
    ],
)
def test_what_is_wrong_is_said(make: object, text: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=text):
        make()
