"""Diagnostics of training: what a watcher is given, and whether each number is what it says, against laws that are known."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import tsu_driver as tsu
from tests.apps import parity
from tests.apps.conftest import CLASSES, PIXELS, OpenChip
from tsu_apps.learning import Cd, Ctd, Teacher, diagnostics, panels
from tsu_apps.learning.averages import WINDOW, Quality, Recent
from tsu_apps.learning.basins import Basins, Surveyor
from tsu_apps.learning.diagnostics import Diagnostics, Nats, Reading, prototypes
from tsu_apps.learning.examples import Layout
from tsu_apps.learning.flags import check, raised
from tsu_apps.learning.forces import Forces, Rates, forces
from tsu_apps.learning.history import Moment, Snapshot, curve
from tsu_apps.learning.loop import Seen
from tsu_apps.learning.masters import exponential_rates
from tsu_apps.learning.modes import SMOOTH, Sparsity, modes, sparsity
from tsu_apps.learning.report import Report
from tsu_apps.models import Boltzmann, Likelihood, exact, log_likelihood, state_spins
from tsu_apps.report import Row
from tsu_driver.rules import Term, UpdateRule

Floats = NDArray[np.float64]
SIGMAS = 5
CELLS = range(PIXELS), range(PIXELS, PIXELS + CLASSES)
LAYOUT = Layout(23, *CELLS)


def machine(chip: tsu.Chip, **changes: Any) -> Ctd:
    return Ctd(chip, *CELLS, **({"ticks": 200, "tau_data": 1.0, "tau_free": 1.0, "seed": 5} | changes))


@pytest.fixture(scope="module")
def watched(chip: tsu.Chip) -> tuple[Ctd, list[Snapshot]]:
    """A trained machine and every look at its training."""
    kept: list[Snapshot] = []
    return machine(chip).fit(*parity.draw(500, seed=1), progress=False, watch=[kept.append]), kept


def moment(tick: int = 50, **changes: Any) -> Moment:
    return dataclasses.replace(Moment(tick, 100, -10.0, 4.0, -9.5, 5.0, 1e-3, 0.0, 0.0, 0.1, math.nan, 1.0), **changes)


def snapshot(seed: int, rule: UpdateRule, cells: int = 9, planes: int = 12, **changes: Any) -> Snapshot:
    """A look at a dense machine with random averages, weights and spins."""
    rng = np.random.default_rng(seed)
    pairs = np.array([(i, j) for i in range(cells) for j in range(i + 1, cells)], np.int32)
    spins = [rng.choice(np.array([-1, 1], np.int8), (planes, cells)) for _ in range(2)]
    averages = [rng.uniform(-1, 1, n) for n in (len(pairs), len(pairs), cells, cells)]
    weights, biases = rng.normal(0, 0.3, len(pairs)), rng.normal(0, 0.3, cells)
    look = Snapshot(moment(), pairs, rule, weights, biases, weights, biases, 1 / 64, Seen(*averages, *spins))
    return dataclasses.replace(look, **changes)


def reading(**changes: Any) -> Reading:
    parts = (Basins(3), Forces(), Quality(), Nats(), np.empty(0), Sparsity(0.0, 0.0, 0.3))
    return dataclasses.replace(Reading(moment(), *parts), **changes)


# The seam


def test_a_watcher_is_given_all_of_every_look(watched: tuple[Ctd, list[Snapshot]]) -> None:
    """Each look's arrays are its own; what is programmed is the nearest codes of the masters before the tick's update."""
    model, kept = watched
    assert tuple(look.moment for look in kept) == model.history_
    np.testing.assert_array_equal(kept[-1].weights, model.last_weights_)
    np.testing.assert_array_equal(kept[-1].biases, model.last_biases_)
    assert not np.array_equal(kept[-2].weights, kept[-1].weights)
    rates = exponential_rates(model.eta_start, model.eta_end, model.ticks)
    for look in (kept[0], kept[70], kept[-1]):
        rate = float(rates[look.moment.tick - 1])
        assert look.rule == UpdateRule.ctd(1.0, 1.0, model.weathering).scaled(rate)
        step = rate * (1 + 1 + model.weathering * 2)
        assert np.abs(look.weights - look.programmed_weights).max() <= look.coupling_lsb / 2 + step
        np.testing.assert_allclose(look.programmed_weights / look.coupling_lsb, np.rint(look.programmed_weights * 64), atol=1e-9)
        assert look.seen.data_spins is not None
        np.testing.assert_allclose(look.seen.data_spins.mean(axis=0), look.seen.data_means, atol=1e-3)
        assert look.moment.temperature == 1.0


def test_a_run_is_the_same_with_watchers_and_without(open_chip: OpenChip) -> None:
    X, y = parity.draw(200, seed=1)
    found = []
    for watched in (False, True):
        with open_chip() as chip:
            model = machine(chip, ticks=60)
            watch = [Diagnostics(model.layout, X[:20], distance=1, examples=model.layout.examples(X, y))] if watched else []
            found.append((model.fit(X, y, progress=False, watch=watch).last_weights_, chip.seconds))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


def test_diagnostics_live_and_after_the_fact_are_the_same(chip: tsu.Chip) -> None:
    kept: list[Snapshot] = []
    model = machine(chip, ticks=40)
    X, y = parity.draw(200, seed=1)
    live, later = (Diagnostics(model.layout, prototypes(X, y), distance=1, examples=X) for _ in range(2))
    model.fit(X, y, progress=False, watch=[kept.append, live])
    for look in kept:
        later(look)
    assert len(live.readings) == 40
    assert repr(live.readings) == repr(later.readings)
    assert [r.moment for r in live.readings] == list(model.history_)


def test_phased_training_is_watched_too(chip: tsu.Chip) -> None:
    """Without chains that go on there are no flips, and nothing is said of mixing."""
    model = Cd(chip, *CELLS, ticks=20)
    d = Diagnostics(model.layout)
    model.fit(*parity.draw(100, seed=1), progress=False, watch=[d])
    last = d.readings[-1]
    assert math.isnan(last.averages.mixing)
    assert last.forces.net > 0
    assert last.basins.attractors >= 1
    assert math.isnan(last.basins.kept)
    assert not last.flags


# Forces


@pytest.mark.parametrize("centred", [False, True])
def test_the_parts_add_up_to_what_the_rule_does(centred: bool) -> None:
    rule = UpdateRule.ctd(0.03, 0.02, 0.004, centred)
    look = snapshot(1, rule)
    assert Rates.of(rule) == (0.03, 0.02, 0.004, centred)
    found = forces(look, Rates.of(rule), None)
    change = rule.pair_change(look.seen, look.pairs, look.weights, look.programmed_weights)
    assert found.net == pytest.approx(np.sqrt(np.mean(change**2)))
    other = forces(look, Rates.of(UpdateRule.ctd(0.03, 0.02, 0.004, not centred)), None)
    assert found.net != pytest.approx(other.net, rel=0.01)


def test_other_rules_have_no_such_parts() -> None:
    hebb = UpdateRule((Term(1.0, ("c_data",)), Term(-0.1, ("w", "w", "w"))), (Term(1.0, ("m_data",)),))
    assert Rates.of(hebb) is None
    found = forces(snapshot(1, hebb), Rates.of(hebb), None)
    assert all(math.isnan(value) for value in dataclasses.astuple(found))


def test_a_deepened_target_falls_in_energy() -> None:
    """Moved along the rule, weights and biases lower the energy of exactly those of all 32 states."""
    rule = UpdateRule.ctd(0.03, 0.03, 0.01)
    look = snapshot(2, rule, cells=5)
    targets = state_spins(np.arange(32), 5)
    step = rule.pair_change(look.seen, look.pairs, look.weights, look.weights), rule.bias_change(look.seen, look.biases, 0.0)
    before = Boltzmann(look.pairs.astype(np.int64), look.weights, look.biases)
    after = before.with_values(look.weights + step[0], look.biases + step[1])
    fell = np.mean(after.energies(targets) < before.energies(targets))
    found = forces(look, Rates.of(rule), targets)
    assert 0.1 < fell < 0.9
    assert found.deepened == fell
    assert found.surviving_pairs == np.mean(step[0] * np.sign(look.seen.data_pairs) > 0)


# Basins


def hopfield(patterns: NDArray[np.int8], strength: float) -> Boltzmann:
    """Hebb's couplings among visible cells, each copied by a hidden cell."""
    visible = patterns.shape[1]
    pairs = [(i, j) for i in range(visible) for j in range(i + 1, visible)]
    inner = strength * (patterns.T.astype(float) @ patterns) / visible
    weights = [inner[i, j] for i, j in pairs] + [0.2] * visible
    return Boltzmann(pairs + [(i, visible + i) for i in range(visible)], weights, np.zeros(2 * visible))


def test_targets_lie_in_basins_of_their_own_until_these_are_worn_down() -> None:
    rng = np.random.default_rng(4)
    patterns = rng.choice(np.array([-1, 1], np.int8), (3, 40))
    surveyor = Surveyor(patterns, np.arange(40), 2)
    model = hopfield(patterns, 1.0)
    targets = surveyor.targets_in(model)
    assert targets is not None
    np.testing.assert_array_equal(targets, np.concatenate([patterns, patterns], axis=1))
    noisy = np.where(rng.random((90, 80)) < 0.1, -1, 1) * np.repeat(targets, 30, axis=0)
    lost = np.where(rng.random((10, 80)) < 0.1, -1, 1) * -targets[0]
    found, census = surveyor.survey(model, np.concatenate([noisy, lost]).astype(np.int8), targets)
    assert census is not None
    assert (found.kept, found.coverage) == (1.0, 1.0)
    assert (found.attractors, found.true, found.spurious, found.true_share) == (4, 3, 1, 0.9)
    worn = hopfield(patterns, -1.0)
    found, _ = surveyor.survey(worn, noisy.astype(np.int8), surveyor.targets_in(worn))
    assert found.kept == 0


def test_planes_that_wander_are_told_from_planes_that_stay() -> None:
    """A quarter of the planes goes to the other one of two basins; thermal flips within a basin do not count."""
    up = np.ones((1, 40), np.int8)
    model, rng = hopfield(up, 1.0), np.random.default_rng(5)
    surveyor = Surveyor(None, np.arange(40), 0)

    def look(signs: NDArray[np.int64]) -> Basins:
        spins = np.where(rng.random((40, 80)) < 0.1, -1, 1) * signs[:, None]
        return surveyor.survey(model, spins.astype(np.int8), None)[0]

    signs = np.repeat([-1, 1], 20)
    assert math.isnan(look(signs).wandered)
    assert look(signs).wandered == 0
    signs[:10] *= -1
    assert look(signs).wandered == 0.25
    assert look(signs).attractors == 2


# Averages


def recent(seens: list[Seen], flips: float = 0.1) -> Recent:
    out = Recent()
    for seen in seens:
        out.add(snapshot(0, UpdateRule.ctd(1, 1, 0), seen=seen, moment=moment(flips=flips)))
    return out


def test_signal_to_noise_is_that_of_the_worse_role() -> None:
    """Signals with mean square .04, noise of variance .01 and .0025. With 7 differences of 20,000 pairs the estimate errs by less
    than 1 %; half the noise is told apart."""
    rng = np.random.default_rng(6)
    signal, n = 0.2 * rng.choice([-1, 1], 20_000), 20_000

    def seen(data: float, free: float) -> Seen:
        return Seen(signal + rng.normal(0, data, n), signal + rng.normal(0, free, n), np.zeros(9), np.zeros(9))

    for noise, ratio in (((0.1, 0.05), 4.0), ((0.05, 0.1), 4.0), ((0.05, 0.05), 16.0)):
        found = recent([seen(*noise) for _ in range(WINDOW)]).quality(None, 1.0, 8.0)
        assert found.signal_to_noise == pytest.approx(ratio, rel=0.05)
        assert math.isnan(found.noise_field)
    assert math.isnan(recent([seen(0.1, 0.1)]).quality(None, 1.0, 8.0).signal_to_noise)


@pytest.mark.parametrize("share", [0.05, 0.5, 1.0])
def test_mixing_is_the_share_of_spins_drawn_anew(share: float) -> None:
    """Spins of mean tanh(h), of which a share is drawn anew from one tick to the next: 8 x 200 planes x 9 cells, of which at
    least a twentieth count, so that 5 standard errors are less than .1."""
    rng = np.random.default_rng(7)
    means = np.tanh(rng.normal(0, 1, 9))
    seens, flips = [], []
    for _ in range(WINDOW):
        before, fresh = (np.where(rng.random((200, 9)) < (1 + means) / 2, 1, -1).astype(np.int8) for _ in range(2))
        after = np.where(rng.random((200, 9)) < share, fresh, before)
        flips.append(float(np.mean(after != before)))
        seens.append(Seen(*(np.zeros(n) for n in (36, 36, 9, 9)), after, after))
    found = recent(seens, float(np.mean(flips))).quality(None, 1.0, 8.0).mixing
    assert abs(found - share) < 0.1
    assert recent(seens, 0.0).quality(None, 1.0, 8.0).mixing == 0


@pytest.fixture(scope="module")
def ideal() -> Iterator[tsu.Chip]:
    with tsu.open("emu:ideal-16?threads=1") as chip:
        yield chip


@pytest.mark.parametrize(("eta", "temperature"), [(0.2, 1.0), (0.05, 0.5)])
def test_weights_shake_by_the_noise_field(ideal: tsu.Chip, eta: float, temperature: float) -> None:
    """A teacher's moments have no noise, those of 8 free planes have; at a constant rate the weights of 16 cells come to shake.
    The mean variance of 120 couplings over 100 looks, of which a third count, errs by 2 %; theory, which takes cells to be
    independent of each other, is allowed 15 % of the field. Four times the rate doubles it."""
    rng = np.random.default_rng(8)
    pairs = ideal.topology.pairs.astype(np.int64)
    truth = Boltzmann(pairs, rng.normal(0, 0.08, len(pairs)), rng.normal(0, 0.2, 16)).at_temperature(temperature)
    law = exact(truth)
    teacher = Teacher(law.correlations[pairs[:, 0], pairs[:, 1]], law.means)
    kept: list[Snapshot] = []
    settings = {"eta_start": eta, "eta_end": eta, "weathering": 0.0, "free_planes": 8, "tau_free": 1.0, "sweeps_per_tick": 6}
    cooling = None if temperature == 1 else tsu.Linear(temperature, temperature, sweeps=1)
    model = Ctd(ideal, range(16), ticks=1500, teacher=teacher, cooling=cooling, seed=1, **settings)
    d = Diagnostics(model.layout)
    model.fit(None, progress=False, watch=[d, kept.append])
    late = kept[50:]
    couplings, biases = (np.stack([getattr(look, name) for look in late]).var(axis=0, ddof=1) for name in ("weights", "biases"))
    measured = np.sqrt(15 * couplings.mean() + biases.mean()) / temperature
    predicted = np.mean([r.averages.noise_field for r in d.readings[50:]])
    assert predicted == pytest.approx(measured, rel=0.15)
    assert predicted == pytest.approx(np.sqrt(16 * eta / 16 / temperature), rel=0.1)


# Modes and sparsity


def shapes(n: int, seed: int) -> NDArray[np.int8]:
    """Three groups of 8, 4 and 2 cells that agree but for a tenth of the spins."""
    rng = np.random.default_rng(seed)
    groups = np.repeat([0, 1, 2], [8, 4, 2])
    spins = rng.choice([-1, 1], (n, 3))[:, groups] * np.where(rng.random((n, 14)) < 0.1, -1, 1)
    return spins.astype(np.int8)


def test_modes_are_the_groups_coarse_ones_first() -> None:
    """Variance of a group's mean over sqrt(g) of g spins: 1 + (g - 1) .8^2."""
    found = modes(shapes(20_000, 1), 3)
    np.testing.assert_allclose(found.variances, [1 + 0.64 * (g - 1) for g in (8, 4, 2)], rtol=0.04)
    np.testing.assert_allclose(found.independent, 1 / found.variances, rtol=0.01)
    for k, (first, g) in enumerate(((0, 8), (8, 4), (12, 2))):
        np.testing.assert_allclose(np.abs(found.components[k, first : first + g]), g**-0.5, atol=0.05)
    assert len(modes(np.ones((5, 4))).variances) == 0


def test_shares_tell_what_is_learnt() -> None:
    """Within 5 standard errors, sqrt(2 / n) of a share: 1 of the same law, `independent` of shuffled cells."""
    data, n = modes(shapes(20_000, 1), 3), 2000
    same = shapes(n, 2)
    loose = np.random.default_rng(3).permuted(same, axis=0)
    error = SIGMAS * np.sqrt(2 / n) + 0.03
    np.testing.assert_allclose(data.shares(same), 1.0, rtol=error)
    np.testing.assert_allclose(data.shares(loose), data.independent, rtol=error)
    with pytest.raises(ValueError, match="at least 2"):
        data.shares(same[:1])


def test_half_times_come_in_the_order_of_learning() -> None:
    """Components that rise linearly; the third has too little to learn, for its independent share is above a half."""
    data = modes(shapes(20_000, 1), 3)
    ticks = np.arange(100)
    progress = np.stack([np.clip(ticks / rise, 0, 1) for rise in (20, 40, 20)], axis=1)
    times = data.half_times(ticks, data.independent + (1 - data.independent) * progress)
    lag = (SMOOTH - 1) / 2
    assert times[0] == pytest.approx(10 + lag, abs=1)
    assert times[1] == pytest.approx(20 + lag, abs=1)
    assert math.isnan(times[2])
    assert np.isnan(data.half_times(ticks, np.tile(data.independent, (100, 1)))).all()
    assert np.isnan(data.half_times(ticks[:2], np.ones((2, 3)))).all()
    with pytest.raises(ValueError, match=r"\(100, 3\) is expected"):
        data.half_times(ticks, np.ones((100, 2)))


def test_sparsity_of_known_laws() -> None:
    """200,000 numbers: 5 standard errors of the kurtosis are .06 for a normal law, and measured .3 for a Laplace law."""
    rng, n = np.random.default_rng(9), 200_000
    normal, laplace = sparsity(rng.normal(0, 0.1, n), 0.05), sparsity(rng.laplace(0, 0.1, n), 0.05)
    assert normal.zeros == pytest.approx(math.erf(0.5 / math.sqrt(2)), abs=0.006)
    assert laplace.zeros == pytest.approx(1 - math.exp(-0.5), abs=0.006)
    assert abs(normal.kurtosis) < 0.06
    assert abs(laplace.kurtosis - 3) < 0.3
    assert normal.participation == pytest.approx(1 / 3, abs=0.01)
    assert sparsity([0.0, 0.0, 1.0, 0.0], 0.1) == Sparsity(0.75, pytest.approx(-2 / 3), 0.25)
    assert sparsity([0.5, -0.5], 0.1).participation == 1
    assert math.isnan(sparsity(np.zeros(3), 0.1).participation)


# Likelihoods and flags


def test_likelihoods_on_request(watched: tuple[Ctd, list[Snapshot]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every 60th look and the last; of the codes at T; doubts raise the flag."""
    model, kept = watched
    X, y = parity.draw(30, seed=2)
    examples = model.layout.examples(X, y)
    calls: list[Boltzmann] = []

    def counted(machine: Boltzmann, cells: Any, spins: Any) -> Likelihood:
        calls.append(machine)
        found = log_likelihood(machine, cells, spins, chains=100, steps=100)
        return dataclasses.replace(found, doubts=("a mode was missed",) if len(calls) == 2 else ())

    monkeypatch.setattr(diagnostics, "log_likelihood", counted)
    d = Diagnostics(model.layout, examples=examples, likelihood_every=60)
    for look in kept:
        d(dataclasses.replace(look, moment=dataclasses.replace(look.moment, temperature=2.0)))
    at = [r.tick for r in d.readings if not math.isnan(r.nats.mean)]
    assert at == [kept[k].moment.tick for k in (59, 119, 149)]
    np.testing.assert_array_equal(calls[0].weights, kept[59].programmed_weights / 2)
    assert [r.nats.doubts for r in d.readings if r.nats.doubts] == [("a mode was missed",)]
    assert [(f.name, f.first, f.last) for f in d.flags if f.name == "untrusted likelihood"] == [
        ("untrusted likelihood", at[1], at[1])
    ]
    pseudo = curve(d.readings, "nats.pseudo")[1]
    assert len(pseudo) == 150


def test_pseudo_likelihood_rises_with_learning(watched: tuple[Ctd, list[Snapshot]]) -> None:
    model, kept = watched
    d = Diagnostics(model.layout)
    for look in kept:
        d(look)
    pseudo = curve(d.readings, "nats.pseudo")[1]
    assert pseudo[-20:].mean() > pseudo[:20].mean() + 0.5


@pytest.mark.parametrize(
    ("good", "bad", "name"),
    [
        ({"moment": moment(saturation=0.02)}, {"moment": moment(saturation=0.03)}, "saturated"),
        ({"moment": moment(bias_saturation=0.02)}, {"moment": moment(bias_saturation=0.03)}, "saturated"),
        ({"averages": Quality(mixing=0.2)}, {"averages": Quality(mixing=0.19)}, "frozen"),
        ({"averages": Quality(noise_field=1.0)}, {"averages": Quality(noise_field=1.01)}, "noisy"),
        ({"basins": Basins(3, kept=0.25)}, {"basins": Basins(3, kept=0.24)}, "eroded"),
        ({"basins": Basins(3, kept=0.0), "moment": moment(49)}, {"basins": Basins(3, kept=0.0), "moment": moment(50)}, "eroded"),
        ({"nats": Nats()}, {"nats": Nats(doubts=("few samples",))}, "untrusted likelihood"),
    ],
)
def test_flags_go_up_beyond_their_thresholds(good: dict[str, Any], bad: dict[str, Any], name: str) -> None:
    assert check(reading(**good)) == {}
    assert list(check(reading(**bad))) == [name]


def test_flags_are_remembered() -> None:
    fine, noisy, frozen = {}, {"noisy": "a"}, {"noisy": "b", "frozen": "c"}
    ups = [fine, noisy, frozen, noisy, fine]
    found = raised([reading(moment=moment(10 * k), flags=flags) for k, flags in enumerate(ups)])
    assert [(f.name, f.reason, f.first, f.last) for f in found] == [("noisy", "a", 10, 30), ("frozen", "c", 20, 20)]


def test_prototypes_are_majorities() -> None:
    X = [[1, 1, -1], [1, -1, -1], [1, 1, 1], [-1, -1, -1]]
    np.testing.assert_array_equal(prototypes(X, [0, 0, 0, 1]), [[1, 1, -1], [-1, -1, -1]])


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: Diagnostics(LAYOUT, np.ones((2, 3))), r"targets has shape \(2, 3\)"),
        (lambda: Diagnostics(LAYOUT, distance=PIXELS), r"distance = 8; 0 \.\. 7 pixels"),
        (lambda: Diagnostics(LAYOUT, likelihood_every=2), "likelihood_every = 2; .* with examples"),
        (lambda: Diagnostics(LAYOUT, examples=np.ones((2, 9))), r"\(n, 8\) or \(n, 10\)"),
        (lambda: Diagnostics(LAYOUT, examples=np.zeros((2, 8))), r"examples\[0, 0\] is 0"),
        (lambda: prototypes(np.ones((3, 2)), [0, 1]), r"y has shape \(2,\)"),
        (lambda: sparsity([1.0], 0.0), "lsb = 0.0"),
        (lambda: Report("unused", Diagnostics(LAYOUT), shape=(3, 3)), "9 pixels; 8 cells"),
    ],
)
def test_bad_input_is_named(call: Callable[[], Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        call()


# The report


def test_a_report_is_written_while_training_runs(chip: tsu.Chip, tmp_path: Path) -> None:
    """The first page loads itself anew, the last one does not; every figure is there, and nothing half written."""
    X, y = parity.draw(200, seed=1)
    model = machine(chip, ticks=30, cooling=tsu.Linear(1.0, 0.8, sweeps=120))
    d = Diagnostics(model.layout, prototypes(X, y), distance=1, examples=X)
    pages: list[str] = []
    with Report(tmp_path / "deep/er", d, title="a < b", shape=(2, 4), config={"ticks": 30}, seeds={"host": 5}) as report:

        def look(_: Snapshot) -> None:
            pages.append((tmp_path / "deep/er/index.html").read_text())

        model.fit(X, y, progress=False, watch=[report, look])
        report.rows.append(Row.at_least("accuracy", 0.4, 0.9))
    pages.append((tmp_path / "deep/er/index.html").read_text())
    refreshes = ['http-equiv="refresh"' in page for page in pages]
    assert refreshes[0]
    assert not any(refreshes[-2:])
    assert "training: tick 1 of 30" in pages[0]
    assert "finished: tick 30 of 30" in pages[-1]
    assert "a &lt; b" in pages[-1]
    assert "goal &gt;= 0.9" in pages[-1]
    assert not any("<script" in page for page in pages)
    names = {"learning", "landscape", "balance", "curriculum", "modes", "samples", "weights"}
    files = {path.name: path.stat().st_size for path in (tmp_path / "deep/er").iterdir()}
    assert set(files) == {f"{name}.png" for name in names} | {"index.html", "result.json"}
    assert min(files.values()) > 1500
    assert all(f'src="{name}.png?tick=30"' in pages[-1] for name in names)
    result = json.loads((tmp_path / "deep/er/result.json").read_text())
    assert result["config"]["state"] == "finished"
    assert result["rows"][0]["name"] == "accuracy"
    assert "distinct attractors" in {row["name"] for row in result["rows"]}


def _lose(report: Report, look: Snapshot) -> None:
    report(look)
    raise KeyError("lost")


def test_a_report_says_why_a_run_broke_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Report, "_figures", lambda *_: {})
    d = Diagnostics(LAYOUT)
    look = snapshot(1, UpdateRule.ctd(1, 1, 0), cells=23, moment=moment(7, saturation=0.5))
    with pytest.raises(KeyError), Report(tmp_path, d) as report:
        _lose(report, look)
    page = (tmp_path / "index.html").read_text()
    assert "broken off: KeyError: &#x27;lost&#x27;: tick 7 of 100" in page
    assert "refresh" not in page
    assert "50% of the couplings are at an end" in page
    assert json.loads((tmp_path / "result.json").read_text())["config"]["flags"].keys() == {"saturated"}
    with Report(tmp_path, Diagnostics(LAYOUT)):
        pass
    assert "no look was taken" in (tmp_path / "index.html").read_text()


def test_pages_are_not_written_too_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that stands still but for 3 s in every drawing: after one of them the next is due in 15 s. A single look is not
    drawn, the last one always."""
    now, drawn = [0.0], [0]

    def draw(*_: Any) -> dict[str, Any]:
        now[0] += 3
        drawn[0] += 1
        return {}

    monkeypatch.setattr(Report, "_figures", draw)
    monkeypatch.setattr("tsu_apps.learning.report.time.monotonic", lambda: now[0])
    report = Report(tmp_path, Diagnostics(LAYOUT))
    counts = []
    for tick, passed in enumerate((0, 4.9, 0.2, 14.8, 0.3, 0), start=95):
        now[0] += passed
        report(snapshot(tick, UpdateRule.ctd(1, 1, 0), cells=23, moment=moment(tick)))
        counts.append(drawn[0])
    assert counts == [0, 0, 1, 1, 2, 3]


def test_figures_without_targets_or_shape_leave_that_out(watched: tuple[Ctd, list[Snapshot]]) -> None:
    model, kept = watched
    d = Diagnostics(model.layout, examples=parity.draw(50, seed=1)[0])
    for look in kept[:9]:
        d(look)
    assert len(panels.landscape(d).axes[1].lines) == 1
    assert len(panels.landscape(d).axes[0].lines) == 1
    assert len(panels.learnt_modes(d, None).axes[1].images) == 0
    assert len(panels.learnt_modes(d, (2, 4)).axes[1].images) == 1


# The page


def test_the_pages_examples_run_in_order(tmp_path: Path) -> None:
    page = Path(__file__).resolve().parents[2] / "docs/training.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    assert len(blocks) == 2
    command = [sys.executable, "-W", "error", "-c", "\n".join(blocks)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "[] flags" in ran.stdout
    assert (tmp_path / "training-report/index.html").exists()
    assert re.search(r"net change 0\.00\d+ kT per tick; [1-9]\d* attractors", ran.stdout)
