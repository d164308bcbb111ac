"""scikit-learn's conventions, the questions to a trained chip, what a run counts, chips compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

import tsu_driver as tsu
from tests.apps import parity
from tests.apps.conftest import CLASSES, CONFIG, PIXELS
from tsu_apps import models
from tsu_apps.learning import Cd, Counters, Ctd, EqProp, Pcd, Teacher, compare
from tsu_apps.models import Boltzmann, Likelihood, exact, state_numbers

TRAIN, TEST, SIGMAS = 2000, 1000, 5
LABELS = range(PIXELS, PIXELS + CLASSES)
CELLS = range(PIXELS), LABELS
ENERGY = """
[energy]
update_aj = 7000
"""
RECORD = 24
"""Bytes of an operation on the wire."""


def machine(chip: tsu.Chip, **changes: Any) -> Ctd:
    return Ctd(chip, range(PIXELS), LABELS, **({"ticks": 600, "tau_data": 1.0, "tau_free": 1.0, "seed": 5} | changes))


@pytest.fixture(scope="module")
def trained(chip: tsu.Chip) -> Ctd:
    return machine(chip).fit(*parity.draw(TRAIN, seed=1), progress=False)


@pytest.fixture(scope="module")
def ideal() -> Iterator[tsu.Chip]:
    with tsu.open("emu:ideal-16?threads=1") as chip:
        yield chip


@pytest.mark.parametrize("kind", [Ctd, Cd, Pcd, EqProp])
def test_clones_share_the_chip_and_nothing_else(chip: tsu.Chip, kind: Any) -> None:
    model = kind(chip, [0, 1], [2], seed=7, weathering=0.5)
    other = clone(model)
    assert type(other) is kind
    assert other is not model
    assert other.chip is chip
    assert other.visible is not model.visible
    assert other.get_params() == model.get_params()
    assert other.set_params(seed=8).seed == 8
    assert model.seed == 7
    with pytest.raises(ValueError, match="Invalid parameter"):
        model.set_params(speed=1)
    assert "seed=7" in repr(model)


def test_a_grid_search_finds_the_decay_that_learns(chip: tsu.Chip) -> None:
    """With 30 the weights lose nine tenths a tick."""
    search = GridSearchCV(machine(chip, ticks=300), {"weathering": [30.0, 1e-3]}, cv=2)
    search.fit(*parity.draw(300, seed=1), progress=False)
    assert search.best_params_ == {"weathering": 1e-3}


def test_an_untrained_machine_says_so(chip: tsu.Chip, trained: Ctd) -> None:
    model, X = machine(chip), np.ones((1, PIXELS))
    for ask in (
        lambda: model.predict(X),
        lambda: model.sample(1),
        lambda: model.inpaint(X, [0]),
        lambda: model.score_samples(X),
        lambda: trained.deploy(model),
    ):
        with pytest.raises(NotFittedError, match="call fit first"):
            ask()


def test_weights_of_a_chip_with_other_couplers_are_refused(ideal: tsu.Chip, trained: Ctd) -> None:
    with pytest.raises(ValueError, match=r"130 pairs.* not this chip's"):
        Ctd(ideal, range(4)).deploy(trained)


def test_inpainting_completes_a_group(trained: Ctd) -> None:
    """Half of each group is known; the other half is the same but for flips. Untrained couplings tell nothing of it."""
    X, _ = parity.draw(TEST, seed=2)
    known = np.arange(PIXELS) % 2 == 0
    hits = []
    idle = machine(trained.chip, ticks=20, eta_start=0.0, eta_end=0.0).fit(*parity.draw(50, seed=1), progress=False)
    for model in (trained, idle):
        filled = model.inpaint(X, known)
        np.testing.assert_array_equal(filled[:, known], X[:, known])
        assert np.abs(filled).max() <= 1
        hits.append(float(np.mean(np.sign(filled[:, ~known]) == X[:, ~known])))
    assert hits[0] > 0.85
    assert abs(hits[1] - 0.5) < 0.1
    np.testing.assert_array_equal(trained.inpaint(X, range(PIXELS)), X)
    for known_wrong in ([PIXELS], [0.5], np.ones(3, bool)):
        with pytest.raises(ValueError, match=rf"bool of shape \({PIXELS},\) or places 0 \.\. {PIXELS - 1}"):
            trained.inpaint(X, known_wrong)


def test_samples_without_a_label_are_of_all_classes(trained: Ctd) -> None:
    """Groups agree in half of the images, but for what the machine has not learnt; within a group pixels agree."""
    images = trained.sample(400)
    assert images.shape == (400, PIXELS)
    groups = np.stack([images[:, g == parity.GROUPS].sum(axis=1) for g in (0, 1)])
    assert 0.3 < np.mean(groups[0] * groups[1] > 0) < 0.7
    assert np.mean(np.abs(groups)) > 3
    with pytest.raises(ValueError, match="n = 0"):
        trained.sample(0)
    with pytest.raises(ValueError, match=r"classes are 0 \.\. 1"):
        trained.sample(1, label=2)


def test_score_is_the_share_of_right_predictions(trained: Ctd) -> None:
    X, y = parity.draw(TEST, seed=2)
    low = trained.score(X, 1 - y)
    high = trained.score(X, y)
    assert abs(low + high - 1) < SIGMAS * (2 * 0.1 / TEST) ** 0.5
    assert high > 0.7
    with pytest.raises(ValueError, match="integers of shape"):
        trained.score(X, y[:3])


@pytest.fixture(scope="module")
def taught(ideal: tsu.Chip) -> Ctd:
    """12 visible and 4 hidden cells, dense."""
    rng = np.random.default_rng(0)
    pairs = ideal.topology.pairs.astype(np.int64)
    law = exact(Boltzmann(pairs, rng.normal(0, 0.3, len(pairs)), rng.normal(0, 0.3, 16)))
    teacher = Teacher(law.correlations[pairs[:, 0], pairs[:, 1]], law.means)
    return Ctd(ideal, range(10), [10, 11], teacher=teacher, ticks=150, free_planes=64).fit(None, progress=False)


def test_likelihoods_are_those_of_the_programmed_codes(taught: Ctd) -> None:
    """Against enumeration, jointly with labels and of pixels alone; a model that is given counts, not the codes."""
    X, y = np.random.default_rng(1).choice([-1, 1], (3, 10)).astype(np.int8), np.array([0, 1, 0])
    codes = np.rint(taught.weights_ * 64) / 64, np.rint(taught.biases_ * 64) / 64
    nominal = Boltzmann(taught.pairs_.astype(np.int64), *codes)
    other = nominal.with_values(0.5 * codes[0], codes[1])
    means = []
    for given, classes in ((None, y), (None, None), (other, y)):
        law = exact(given or nominal).probabilities.reshape(16, 1 << 12).sum(axis=0)
        states = np.concatenate([X, np.where(np.eye(2)[y] > 0, 1, -1)], axis=1)
        if classes is None:
            law, states = law.reshape(4, 1 << 10).sum(axis=0), X
        truth = np.log(law[state_numbers(states)])
        found = taught.likelihood(X, classes, model=given)
        assert found.trusted
        np.testing.assert_allclose(found.nats, truth, atol=0.5)
        assert abs(found.mean - truth.mean()) < SIGMAS * found.standard_error + 0.02
        means.append(found.mean)
    assert min(abs(means[0] - means[1]), abs(means[0] - means[2])) > 0.5
    np.testing.assert_array_equal(taught.score_samples(X, y), taught.likelihood(X, y).nats)


def test_a_likelihood_that_is_not_to_be_trusted_warns(taught: Ctd, monkeypatch: pytest.MonkeyPatch) -> None:
    doubtful = Likelihood(np.zeros(2), 0.0, 9.0, 1.0, 1.2, ("1.2 effective samples",))
    monkeypatch.setattr(models, "log_likelihood", lambda *_, **__: doubtful)
    with pytest.warns(RuntimeWarning, match="not to be trusted: 1.2 effective samples"):
        taught.score_samples(np.ones((2, 10)))


def counted(model: Any) -> tuple[Counters, Counters]:
    X, y = parity.draw(100, seed=1)
    _, first, second = (model.set_params(ticks=ticks).fit(X, y, progress=False).counters_ for ticks in (1, 150, 300))
    return first, second


@pytest.mark.parametrize("kind", [Ctd, Pcd, Cd, EqProp])
def test_counters_count(chip: tsu.Chip, kind: Any) -> None:
    """150 ticks more are as many messages, and bytes that follow from the windows' shapes but for scans of spins."""
    first, second = counted(kind(chip, range(PIXELS), LABELS))
    c, words = chip.capabilities, -(-chip.capabilities.cells // 32)
    assert (first.ticks, second.ticks) == (150, 300)
    assert second.messages - first.messages == 150
    sweeps = {Ctd: 4, Pcd: 1, Cd: 2, EqProp: 16}[kind]
    assert second.sweeps - first.sweeps == 150 * sweeps
    planes = {Ctd: 32, Pcd: 32, Cd: 32, EqProp: 64}[kind]
    sent = 2 * (c.couplers + c.cells) + 4 * words * planes
    sent += {Ctd: 0, Pcd: 0, Cd: 8 * words * planes, EqProp: 4 * words * planes + 2 * c.cells}[kind]
    fetched = 2 * 4 * (c.pairs + c.cells)
    scanned = 4 * words * (64 if kind in (Ctd, Pcd, Cd) else 128)
    more = second.bytes - first.bytes - RECORD * (second.operations - first.operations)
    assert 0 <= more - 150 * (sent + fetched) <= 150 * scanned
    assert second.chip_seconds > first.chip_seconds > 0
    assert second.wall_seconds > 0
    terms = 3 + 2
    averaged = 300 - 225
    assert second.host_operations == 300 * terms * (c.pairs + c.cells) + averaged * (c.pairs + c.cells)


def test_chips_are_compared(tmp_path: Path) -> None:
    """A chip without errors, and one with large ones. Weights of the first do worse on the second than its own."""
    foul = CONFIG.replace("offset_sigma_kt = 0.3", "offset_sigma_kt = 1.0").replace("gain_sigma = 0.1", "gain_sigma = 0.4")
    urls: list[str] = []
    for name, config in (("fair", re.sub(r"(\w*sigma\w*) = [0-9.]+", r"\1 = 0.0", CONFIG)), ("foul", foul + ENERGY)):
        (tmp_path / f"{name}.toml").write_text(config, encoding="utf-8")
        urls.append(f"emu:{tmp_path / name}.toml?threads=1")
    X, y = parity.draw(TRAIN, seed=1)
    test = parity.draw(TEST, seed=2)
    rows = compare(lambda chip, seed: machine(chip, seed=seed), urls, X, y, test, (5,), progress=False)
    fair, bad = ({row.name.split(": ")[1]: row for row in rows if row.name.startswith(url)} for url in urls)
    error = (0.25 / TEST) ** 0.5
    assert fair["accuracy"].value > 0.7
    assert bad["accuracy"].value > bad["accuracy, deployed"].value + SIGMAS * error
    assert "accuracy, deployed" not in fair
    assert all(row.spread is None for row in rows)
    assert (fair["energy"].value, bad["energy"].unit) == (0.0, "J")
    assert bad["energy"].value > 0


def test_rows_are_means_over_seeds(chip: tsu.Chip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tsu, "open", lambda url: nullcontext(chip))
    X, y = test = parity.draw(100, seed=1)
    accuracies: list[float] = []

    class Known(Ctd):
        """With accuracies that are known, and few ticks."""

        def score(self, X: Any, y: Any) -> float:
            accuracies.append(super().score(X, y))
            return accuracies[-1]

    rows = compare(lambda c, seed: Known(c, *CELLS, ticks=2, seed=seed), ["a"], X, y, test, (1, 2, 3), progress=False)
    assert [row.name for row in rows] == ["a: accuracy", "a: chip time", "a: energy"]
    assert rows[0].value == pytest.approx(np.mean(accuracies))
    assert rows[0].spread == pytest.approx(np.std(accuracies, ddof=1))
    with pytest.raises(ValueError, match="0 chips and 1 seeds"):
        compare(lambda chip, _: machine(chip), [], X, y, test, (0,))
