"""Procedures of sampling find what the oracle says, and refuse what it does not: a chip without the effect, with twice as much of
it, or with another.

Tolerances are 5 standard errors from the scatter over planes; the chips' errors are well beyond typical ones, so that a tenth
to a half of the full sample sizes tells them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from apps.bench import by_key, laboratory, run, told_apart
from apps.tools import beside_the_truth
from serving import config
from tsu_apps.characterise import Measurement
from tsu_apps.characterise.cells import coupler_pairs, fault_of, slope_estimate
from tsu_apps.characterise.problems import colouring, pairs_within, piece, sign_rounds
from tsu_apps.characterise.readings import ordinary
from tsu_apps.characterise.sampling import PROCEDURES
from tsu_emu.config import ChipConfig

BIPARTITE = {"kind": "bipartite", "visible": 5, "hidden": 4}
DENSE = {"kind": "dense", "cells": 5}
DAC = {"full_scale": 2.0, "element_sigma": 0.03, "gain_sigma": 0.05, "offset_sigma_lsb": 1.0}
ERRORS: dict[str, Any] = {"coupling": {"gain_sigma": 0.15, "dac": DAC}, "bias": {"dac": {**DAC, "full_scale": 4.0}}}
CELL = {"slope_sigma": 0.15, "offset_sigma_kt": 0.3}
TICK = {"timing": {"colour": 10, "slot": 0}, "clock": {"hz": 1e8}}
CHIPS: dict[str, ChipConfig] = {
    "pbit": config(BIPARTITE, 64, **ERRORS, cell={"kind": "pbit", **CELL}, seeds={"die": 3}),
    "async-pbit": config(
        DENSE, 32, **ERRORS, **TICK, seeds={"die": 4},
        cell={"kind": "async-pbit", **CELL, "tau_s": 1e-7, "ln_tau_sigma": 0.4, "kinetics": "glauber"},
    ),
    "pdit": config(
        {"kind": "grid", "width": 3, "height": 2, "rules": [[1, 0]]}, 64, **ERRORS, cell={"kind": "pdit", "states": 3, **CELL},
    ),
}  # fmt: skip
NAMES = {
    "pbit": [p.name for p in PROCEDURES if p.name != "pdit-law"],
    "async-pbit": [p.name for p in PROCEDURES if p.name != "pdit-law"],
    "pdit": ["pdit-law", "stuck-cells"],
}
LAWS = ["law.probabilities", "law.tv"]
CELLS = ["cell.slope", "cell.offset", "coupler.gain", "coupler.asymmetry"]
CASES = [
    *[("pbit", key) for key in (*LAWS, *CELLS, "flux.chromatic", "flux.palindromic", "flux.random")],
    *[("async-pbit", key) for key in (*LAWS, *CELLS, "flux.asynchronous")],
    *[("pdit", key) for key in LAWS],
]
Found = tuple[dict[str, Measurement], dict[str, Any], dict[str, dict[str, Any]]]


@cache
def found(kind: str) -> Found:
    return beside_the_truth(CHIPS[kind], PROCEDURES, NAMES[kind], 0.5)


@pytest.mark.parametrize(("kind", "key"), CASES)
def test_it_is_what_the_oracle_says_and_nothing_else(kind: str, key: str) -> None:
    """Agreement with the chip's own law; disagreement with a chip without errors, with doubled errors, or scanned otherwise."""
    measured, truth, wrong = found(kind)
    assert measured[key].agrees(truth[key]), (measured[key].deviation(truth[key]), measured[key].tolerance)
    assert wrong[key]
    assert [name for name, value in wrong[key].items() if measured[key].agrees(value)] == []


@pytest.mark.parametrize("kind", list(CHIPS))
def test_good_cells_are_not_called_faulty(kind: str) -> None:
    assert not found(kind)[0]["cell.fault"].value.any()


def test_slopes_offsets_and_gains_are_those_of_the_die() -> None:
    """Ideal converters, so that the oracle's slopes, offsets and gains of couplers themselves are what is measured.

    Slopes to .03 of 15 %, offsets to .03 of .3 kT; gains of couplers to .05, asymmetries to .03 of 15 %, slopes included.
    """
    ideal = config(BIPARTITE, 64, coupling={"gain_sigma": 0.15}, cell={"kind": "pbit", **CELL}, seeds={"die": 5})
    with laboratory(ideal, 0.5) as (lab, oracle):
        seen = by_key(run(lab, PROCEDURES, "slope-offset")) | by_key(run(lab, PROCEDURES, "coupler-gain"))
        slope, offset, kappa = (oracle.truth(name) for name in ("slope", "offset", "kappa"))
        t, pairs = lab.chip.topology, coupler_pairs(lab.chip).tolist()
    cells = np.asarray(seen["cell.slope"].x, np.int64)
    assert len(cells) == 9
    assert told_apart(seen["cell.slope"], slope[cells], 1.0)
    assert told_apart(seen["cell.offset"], offset[cells])
    coupler = {(int(i), int(j)): e for e, (i, j) in enumerate(zip(t.target, t.source, strict=True))}
    both = np.array([[coupler[i, j], coupler[j, i]] for i, j in pairs])
    heard, gain = slope[t.target[both]] * kappa[both], seen["coupler.gain"]
    assert told_apart(gain, heard, 1.0)
    assert not gain.agrees(heard[:, ::-1])
    assert told_apart(seen["coupler.asymmetry"], 0.5 * (heard[:, 0] - heard[:, 1]))


def test_faults_are_found_and_named() -> None:
    """One cell of each kind of fault among pdits and p-bits; no other cell is called faulty."""
    for kind in ("pbit", "pdit"):
        with laboratory(CHIPS[kind], 0.2) as (lab, oracle):
            for cell, at in ((0, "down"), (2, "up"), (4, "floating")):
                oracle.inject("stuck-cell", cell=cell, at=at)
            outcome = run(lab, PROCEDURES, "stuck-cells")
        assert outcome.measurements[0].value[:6].tolist() == [1, 0, 2, 0, 3, 0]
        assert outcome.notes == "cell 0: stuck down; cell 2: stuck up; cell 4: hears nothing"


def test_faults_are_told_by_both_responses() -> None:
    down, up = np.array([-0.99, -1.0, 1.0, 0.1, -0.1]), np.array([0.98, -1.0, 1.0, 0.2, -0.1])
    assert fault_of(down, up).tolist() == [0, 1, 2, 3, 3]


def test_the_estimate_of_slopes_does_not_hear_neighbours() -> None:
    """Exact means of cells that hear each other by .05 kT: slopes to .01; with one sign for all cells they are .03 off."""
    rng = np.random.default_rng(1)
    n, levels = 6, (0.3, 0.6)
    slope, offset, J = rng.normal(1, 0.1, n), rng.normal(0, 0.2, n), rng.normal(0, 0.05, (n, n))
    np.fill_diagonal(J, 0.0)

    def means(signs: NDArray[np.int64]) -> NDArray[np.float64]:
        out = np.zeros((len(levels), len(signs), 1, n))
        for _ in range(50):
            h = np.array(levels)[:, None, None] * signs
            out = np.tanh(slope * (h + offset + out[:, :, 0] @ J.T))[:, :, None]
        return out

    fine = sign_rounds(n)
    found_slope, found_offset = slope_estimate(means(fine), fine, levels)
    assert np.abs(found_slope[0] - slope).max() < 0.01
    same = np.repeat(np.array([[1], [-1]]), n, axis=1)
    assert np.abs(slope_estimate(means(same), same, levels)[0][0] - slope).max() > 0.03
    assert np.abs(found_offset[0] - offset - J @ np.tanh(slope * offset)).max() < 0.02


def test_sign_patterns_pieces_and_colours() -> None:
    """Patterns are balanced and orthogonal; pieces hang together and have rings; colours differ between coupled cells."""
    for columns in (1, 3, 7, 8, 31):
        signs = sign_rounds(columns)
        assert np.array_equal(signs.T @ signs, len(signs) * np.eye(columns))
        assert not signs.sum(axis=0).any()
    for kind in ("pbit", "async-pbit", "pdit"):
        with laboratory(CHIPS[kind]) as (lab, _):
            t = lab.chip.topology
        colour = colouring(t)
        assert np.all(colour[t.target] != colour[t.source])
        assert len(pairs_within(t, piece(t, 4))) >= 4
    assert ordinary(np.array([1.0, 1.1, 0.9, 9.0])).tolist() == [0, 1, 2]
