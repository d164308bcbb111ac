"""Embedded models on a chip: what is sampled, at which temperature, and how far that is from the model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

import tsu_driver as tsu
from serving import config, opened, serving
from tsu_apps.characterise.laws import Sweep, effective_samples, number, total_variation, tv_bound
from tsu_apps.mapping import Embedding, embed, load, plan
from tsu_apps.mapping import __main__ as program
from tsu_apps.mapping.quality import exact_quality, sampled_quality
from tsu_apps.models import Boltzmann, exact, state_spins
from tsu_emu.chip import Chip
from tsu_firmware import BootFirmware

pytest.importorskip("minorminer")

VARIABLES, LOOKS, EVERY, BURN = 5, 1000, 16, 200


@pytest.fixture(scope="module")
def chip() -> Iterator[tsu.Chip]:
    """A sparse one with couplings up to 2 kT."""
    ring = {"kind": "small-world", "cells": 24, "degree": 4, "rewiring": 0.2, "seed": 1}
    with opened(config(ring)) as (_, driver):
        yield driver


@pytest.fixture(scope="module")
def model() -> Boltzmann:
    """All pairs coupled, strongly enough that temperature and sign would show; weights are on no grid."""
    return program.complete_model(VARIABLES, 3)


@pytest.fixture(scope="module")
def embedding(chip: tsu.Chip, model: Boltzmann) -> Embedding:
    return embed(model.pairs, chip.topology, seed=1)


class Predicted:
    """What a plan should give: its law over the model's states by majority, and how fast the chip forgets."""

    def __init__(self, chip: tsu.Chip, embedding: Embedding, model: Boltzmann, strength: float) -> None:
        made = plan(chip, embedding, model, strength)
        cells = np.sort(np.concatenate(embedding.chains))
        n, place = len(cells), np.searchsorted(cells, made.pairs)
        J, h = np.zeros((n, n)), made.biases[cells] / made.temperature
        J[place[:, 0], place[:, 1]] = J[place[:, 1], place[:, 0]] = made.couplings / made.temperature
        order = sorted(range(n), key=lambda k: (int(chip.topology.colour[cells[k]]), k))
        self.second = Sweep.of(J, h, 1.0, order, {}).stationary({})[1]
        physical = exact(Boltzmann(place, made.couplings / made.temperature, h)).probabilities
        spins = np.zeros((len(physical), chip.topology.cells), np.int8)
        spins[:, cells] = state_spins(np.arange(len(physical)), n)
        self.law = np.bincount(number(embedding.unembed(spins).spins), physical, 1 << embedding.variables)
        self.limit = tv_bound(self.law, effective_samples(LOOKS, chip.capabilities.planes, self.second, EVERY))

    def distance(self, samples: NDArray[np.int64]) -> float:
        return total_variation(samples, self.law)


def sampled(chip: tsu.Chip, embedding: Embedding) -> NDArray[np.int64]:
    return number(embedding.unembed(chip.sample(LOOKS, every=EVERY, burn=BURN)).spins).ravel()


@pytest.mark.parametrize("strength", [0.5, 1.5, 2.2])
def test_the_chip_samples_what_enumeration_says(chip: tsu.Chip, embedding: Embedding, model: Boltzmann, strength: float) -> None:
    """Within E[TV] and 4 standard deviations for as many independent samples as the sweep's second eigenvalue leaves; neither a
    quarter more temperature nor the other sign does. 2.2 kT is beyond the couplers, so all is scaled to T = 57/64."""
    expected = Predicted(chip, embedding, model, strength)
    done = load(chip, embedding, model, strength)
    assert done.programmed.clipped == 0
    assert done.temperature == (57 / 64 if strength == 2.2 else 1.0)
    assert expected.distance(sampled(chip, embedding)) < expected.limit < 0.06
    chip.set_temperature(1.25 * done.temperature)
    assert expected.distance(sampled(chip, embedding)) > expected.limit
    load(chip, embedding, model.with_values(-model.weights, model.biases), strength)
    assert expected.distance(sampled(chip, embedding)) > expected.limit


def test_weak_chains_show_and_whole_ones_do_not_lie(chip: tsu.Chip, embedding: Embedding, model: Boltzmann) -> None:
    """At .75 kT majority votes are off by what enumeration says, looks with whole chains by their scatter and the DACs' rounding.

    Standard errors from the effective samples of the slowest mode; 5 of them.
    """
    expected = Predicted(chip, embedding, model, 0.75)
    quality = sampled_quality(chip, embedding, model, 0.75, looks=LOOKS, every=EVERY, burn=BURN)
    at_equilibrium = exact_quality(embedding, model, 0.75, chip)
    n = effective_samples(LOOKS, chip.capabilities.planes, expected.second, EVERY)
    assert abs(quality.kept - at_equilibrium.kept) < 5 * np.sqrt(at_equilibrium.kept * (1 - at_equilibrium.kept) / n)
    assert abs(quality.broken - at_equilibrium.broken) < 5 * np.sqrt(at_equilibrium.broken * (1 - at_equilibrium.broken) / n)
    assert abs(quality.majority - at_equilibrium.majority) < expected.limit < at_equilibrium.majority / 2
    assert quality.whole < at_equilibrium.whole + tv_bound(exact(model).probabilities, n * quality.kept) < quality.majority


def test_a_run_does_not_begin_where_the_last_one_ended(chip: tsu.Chip, embedding: Embedding, model: Boltzmann) -> None:
    """All cells up, then chains too strong to turn in a sweep: from there all planes would show one state of 32."""
    chip.set_temperature(1.0)
    chip.program_couplings(h=np.full(chip.topology.cells, 1.9))
    chip.run(200)
    chip.set_temperature(1 / 64)
    chip.run(2)
    assert (chip.read() == 1).all()
    free = model.with_values(np.zeros(len(model.weights)), np.zeros(model.cells))
    assert sampled_quality(chip, embedding, free, 8.0, looks=1).majority < 0.6 < 31 / 32


def test_rounding_is_what_the_plan_says(chip: tsu.Chip, embedding: Embedding, model: Boltzmann) -> None:
    """Every value of a plan is a code, and none is clipped; with the model's own values there is no error but broken chains."""
    made = plan(chip, embedding, model, 3.0)
    assert chip.quantise_couplings(made.couplings).residual_lsb < 1e-9
    assert chip.quantise_biases(made.biases).residual_lsb < 1e-9
    assert np.abs(made.couplings).max() == pytest.approx(126 / 64)
    rounded, exactly = exact_quality(embedding, model, 3.0, chip), exact_quality(embedding, model, 3.0)
    assert exactly.whole < 1e-10 < 1e-3 < rounded.whole < 0.03


def test_values_beyond_the_chip_are_refused(chip: tsu.Chip, embedding: Embedding, model: Boltzmann) -> None:
    huge = model.with_values(1e4 * model.weights, model.biases)
    with pytest.raises(
        ValueError, match=r"values up to .* kT are beyond this chip's DACs even at its lowest temperature, 0\.015625"
    ):
        load(chip, embedding, huge, 1.0)
    with pytest.raises(ValueError, match="needs a chip of p-bits; this chip's cells are of the kind gaussian"):
        load(SimpleNamespace(kind="gaussian"), embedding, model)  # type: ignore[arg-type]


def test_the_program_measures_and_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "RUNS", (20, 40))
    monkeypatch.setattr(program, "STRENGTHS", (1.0,))
    files = ["--json", str(tmp_path / "m.json"), "--figure", str(tmp_path / "m.png")]
    with serving(Chip(config({"kind": "dense", "cells": 4}), BootFirmware())) as endpoint:
        assert program.main([endpoint, "--variables", "4", *files]) == 0
    shown = capsys.readouterr()
    assert "test: longest chain" in shown.out
    assert "chains of 1.00 kT" in shown.err
    rows = {row["name"]: row["value"] for row in json.loads((tmp_path / "m.json").read_text())["rows"]}
    assert rows["test: cells for 4 variables"] == 4
    assert rows["test: equilibrium, majority"] < 1e-9
    assert (tmp_path / "m.png").stat().st_size > 10_000
    with pytest.raises(SystemExit, match="2"):
        program.main(["--variables", "13"])
    assert program.main(["nowhere"]) == 2
    said = capsys.readouterr().err
    assert "--variables 13; 2 to 12 expected" in said
    assert "mapping: cannot open 'nowhere'" in said
