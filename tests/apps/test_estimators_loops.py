"""What the chip measures in a tick, against exact enumeration: phases, nudges, chains that persist."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import tsu_driver as tsu
from tests.apps.conftest import CLASSES, HIDDEN, PIXELS, PLANES
from tsu_apps.learning.answers import pinned_means
from tsu_apps.learning.cd import CdLoop
from tsu_apps.learning.concurrent import Roles, TickLoop
from tsu_apps.learning.eqprop import ClassDraw, EqProp, EqPropLoop
from tsu_apps.learning.examples import Draw, Layout
from tsu_apps.learning.loop import ChipLoop, Seen
from tsu_apps.learning.masters import Codes
from tsu_apps.models import Boltzmann, exact, state_spins

Floats = NDArray[np.float64]

VISIBLE = PIXELS + CLASSES
TICKS = 200
SAMPLES = TICKS * PLANES
SIGMAS = 5
"""Greatest deviation allowed, in standard errors, of about 150 pairs each."""

CONFIG = f"""
name = "fair"
[fabric]
planes = {PLANES}
topology = {{ kind = "bipartite", visible = {VISIBLE}, hidden = {HIDDEN} }}
[bias.dac]
full_scale = 4.0
[cell]
kind = "pbit"
"""
"""As the chip of the other tests, without errors."""


@pytest.fixture(scope="module")
def fair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tsu.Chip]:
    path: Path = tmp_path_factory.mktemp("loops") / "fair.toml"
    path.write_text(CONFIG, encoding="utf-8")
    with tsu.open(f"emu:{path}?threads=1") as chip:
        yield chip


@pytest.fixture(scope="module")
def layout() -> Layout:
    return Layout(VISIBLE + HIDDEN, range(PIXELS), range(PIXELS, VISIBLE))


def random_codes(chip: tsu.Chip, scale: float) -> tuple[Codes, Boltzmann]:
    """Random couplings and biases, and the machine that they are."""
    rng = np.random.default_rng(0)
    c = chip.capabilities
    weights, biases = rng.normal(0, scale, c.pairs), rng.normal(0, scale, c.cells)
    codes = Codes(chip.quantise_couplings(weights).codes, chip.quantise_biases(biases).codes)
    return codes, Boltzmann(chip.topology.pairs.astype(np.int64), codes.couplings / 64, codes.biases / 32)


def ticks(loop: ChipLoop, codes: Codes, number: int = TICKS) -> list[Seen]:
    loop.begin(codes)
    return [loop.tick(codes) for _ in range(number)]


def mean_of(seen: list[Seen], name: str) -> Floats:
    out: Floats = np.mean([getattr(s, name) for s in seen], axis=0)
    return out


def deviation(measured: Floats, truth: Floats, samples: int) -> float:
    """Greatest deviation of means of +-1 products from the truth, in standard errors of so many independent samples."""
    return float(np.max(np.abs(measured - truth) / np.sqrt(np.maximum(1 - truth**2, 1e-3) / samples)))


def after_sweeps(model: Boltzmann, start: NDArray[np.int8], k: int) -> tuple[Floats, Floats]:
    """Exact <s_i s_j> of all pairs and <s_i>: visible cells at `start`, hidden cells drawn, then k sweeps, visible first."""
    W = model.couplings[:VISIBLE, VISIBLE:]
    a, b = model.biases[:VISIBLE], model.biases[VISIBLE:]
    v, h = state_spins(np.arange(1 << VISIBLE), VISIBLE).astype(float), state_spins(np.arange(1 << HIDDEN), HIDDEN).astype(float)
    up_v, up_h = (h @ W.T + a).T, (v @ W + b).T
    hidden_to_visible = np.exp(v @ up_v - np.logaddexp(up_v, -up_v).sum(axis=0))
    visible_to_hidden = np.exp(h @ up_h - np.logaddexp(up_h, -up_h).sum(axis=0))
    at = int(np.flatnonzero((v == start).all(axis=1))[0])
    p_v = np.eye(len(v))[at]
    for _ in range(k):
        p_v = hidden_to_visible @ (visible_to_hidden @ p_v)
    means_h = np.tanh(up_h)
    pairs: Floats = np.einsum("k,ki,jk->ij", p_v, v, means_h).ravel()
    return pairs, np.concatenate([p_v @ v, means_h @ p_v])


def test_contrastive_divergence_is_k_sweeps_from_the_data(fair: tsu.Chip, layout: Layout) -> None:
    """One example in all planes, so that ticks and planes are independent samples; a sweep more or less is told apart."""
    codes, model = random_codes(fair, 0.5)
    example = np.random.default_rng(1).choice([-1, 1], (1, VISIBLE)).astype(np.int8)
    draw = Draw(layout.clamp_words(example), PLANES, np.random.default_rng(2))
    truth = {k: after_sweeps(model, example[0], k) for k in (0, 1, 2, 3)}
    for k in (1, 2):
        seen = ticks(CdLoop(fair, layout, draw, PLANES, (1, k)), codes)
        np.testing.assert_array_equal(mean_of(seen, "data_means")[:VISIBLE], example[0])
        assert deviation(mean_of(seen, "data_pairs"), truth[0][0], SAMPLES) < SIGMAS
        for steps, (pairs, means) in truth.items():
            off = deviation(mean_of(seen, "free_pairs"), pairs, SAMPLES)
            assert (off < SIGMAS) if steps == k else (off > 2 * SIGMAS)
            if steps == k:
                assert deviation(mean_of(seen, "free_means"), means, SAMPLES) < SIGMAS


def test_a_nudge_is_a_bias_of_the_labels(fair: tsu.Chip, layout: Layout) -> None:
    """Exact means with the pixels pinned, free and with the labels' biases moved by beta d, after 12 sweeps at couplings so weak
    that they forget within two; twice the beta, or half of it, is told apart. A suspended loop has taken the nudge back, as
    the labels' means in 200 successive sweeps tell, of which 8 count for one at most."""
    codes, model = random_codes(fair, 0.3)
    X, y = np.random.default_rng(1).choice([-1, 1], (1, PIXELS)).astype(np.int8), np.array([1])
    examples = layout.examples(X, y)
    settings = EqProp(fair, (), beta=1.0, free_sweeps=12, nudged_sweeps=12, tau=1.0, planes=PLANES)
    loop = EqPropLoop(settings, layout, ClassDraw(layout, examples, PLANES, np.random.default_rng(2)))
    seen = ticks(loop, codes)
    measured = np.stack([mean_of(seen, "free_means"), mean_of(seen, "data_means")])[:, PIXELS:]
    target = layout.one_hot(y)[0]
    for beta, right in ((1.0, True), (2.0, False), (0.5, False)):
        nudged = model.biases.copy()
        nudged[layout.labels] += beta * target
        machines = (model, model.with_values(model.weights, nudged))
        truth = np.stack([exact(m.conditioned(layout.visible, X[0]).model).means for m in machines])
        off = [deviation(m, t, SAMPLES) for m, t in zip(measured, truth, strict=True)]
        assert off[0] < SIGMAS
        assert (off[1] < SIGMAS) if right else (off[1] > 2 * SIGMAS)
    np.testing.assert_array_equal(mean_of(seen, "data_means")[:PIXELS], X[0])
    answers = pinned_means(fair, layout.visible, np.tile(X, (PLANES, 1)), layout.labels, loop.suspend(), TICKS).mean(axis=0)
    assert deviation(answers, measured[0, :CLASSES], SAMPLES / 8) < SIGMAS
    assert deviation(answers, measured[1, :CLASSES], SAMPLES / 8) > 2 * SIGMAS


def test_averages_are_those_of_the_spins(fair: tsu.Chip, layout: Layout) -> None:
    """With tau = 1 nothing but the last sweep counts, so that the averages follow from the scan, exactly."""
    codes, _ = random_codes(fair, 0.5)
    X = np.random.default_rng(1).choice([-1, 1], (20, PIXELS)).astype(np.int8)
    examples = layout.examples(X, np.arange(20) % CLASSES)
    rng = np.random.default_rng(2)
    half = PLANES // 2
    i, j = fair.topology.pairs.T
    concurrent = TickLoop(
        fair,
        layout,
        Roles(np.arange(half), half + np.arange(9)[:, None], np.ones(1), 1.0, 1.0, 2),
        Draw(layout.clamp_words(examples), half, rng),
    )
    phased = CdLoop(fair, layout, Draw(layout.clamp_words(examples), 17, rng), 17, (1, 3))
    for loop in (concurrent, phased):
        loop.begin(codes)
        for _ in range(3):
            seen = loop.tick(codes, scan=True)
            for spins, pairs, means in (
                (seen.data_spins, seen.data_pairs, seen.data_means),
                (seen.free_spins, seen.free_pairs, seen.free_means),
            ):
                assert spins is not None
                np.testing.assert_allclose(means, spins.mean(axis=0), atol=1e-3)
                np.testing.assert_allclose(pairs, (spins[:, i] * spins[:, j]).mean(axis=0), atol=1e-3)


def test_free_chains_persist_and_released_ones_do_not(fair: tsu.Chip, layout: Layout) -> None:
    """Nearly frozen cells: a free plane stays what it is from tick to tick; a released one is its new example."""
    c = fair.capabilities
    codes = Codes(np.full(c.pairs, 127, np.int16), np.zeros(c.cells, np.int16))
    words = layout.clamp_words(np.stack([np.ones(VISIBLE, np.int8), -np.ones(VISIBLE, np.int8)]))
    moved = []
    for loop in (
        TickLoop(
            fair,
            layout,
            Roles(np.arange(8), np.arange(8, 40)[:, None], np.ones(1), 1.0, 1.0, 1),
            Draw(words, 8, np.random.default_rng(3)),
        ),
        CdLoop(fair, layout, Draw(words, 32, np.random.default_rng(3)), 32, (1, 1)),
    ):
        loop.begin(codes)
        spins = [loop.tick(codes, scan=True).free_spins for _ in range(10)]
        moved.append(np.mean([a != b for a, b in pairwise(spins)]))
    assert moved[0] == 0
    assert abs(moved[1] - 0.5) < SIGMAS * (0.25 / (9 * 32)) ** 0.5


def test_examples_dwell(layout: Layout) -> None:
    words = np.arange(1000, dtype=np.uint32)[:, None]
    draw = Draw(words, 4, np.random.default_rng(0), dwell=3)
    seen = [draw.words().copy() for _ in range(9)]
    for first in (0, 3, 6):
        np.testing.assert_array_equal(seen[first], seen[first + 1])
        np.testing.assert_array_equal(seen[first], seen[first + 2])
    assert not np.array_equal(seen[2], seen[3])


def test_classes_take_turns(layout: Layout) -> None:
    """A round has every class that occurs once, whatever their numbers of examples."""
    X = np.ones((30, PIXELS), np.int8)
    draw = ClassDraw(layout, layout.examples(X, np.repeat([0, 1], [28, 2])), 4, np.random.default_rng(0))
    targets = np.stack([draw.next()[1] for _ in range(40)]).reshape(20, 2, CLASSES)
    np.testing.assert_array_equal(targets.sum(axis=1), 0)
    assert 0 < np.mean(targets[:, 0, 0] > 0) < 1
    words, target = draw.next()
    place = 1 << layout.labels[int(target.argmax())]
    assert (words[:, 0] & place).all()
