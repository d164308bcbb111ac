"""`tools/run layers`: its chips are what their names say, a study runs as it stands, rows can fail, figures are drawn."""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tsu_driver as tsu
from apps.tools import tool
from serving import opened
from tsu_apps.layers import ChipLayer, Pbit, figures
from tsu_apps.layers.gaussian_process import Posterior
from tsu_apps.layers.studies import agreement, digits, generation, processes, times
from tsu_emu.config import ChipConfig, load, parse

NAMES = {
    "ideal-1024", "typical-1024", "ideal-spu-64", "ideal-pdit-8", "width-pmode-adc-64",
    *(name for _, names in times.LAYERS.values() for name in names),
    *(name for _, _, *names in agreement.KINDS.values() for name in names),
}  # fmt: skip


@pytest.fixture(scope="module")
def layers() -> Any:
    return tool("layers")


def configured(layers: Any, name: str) -> ChipConfig:
    text = layers.chip_text(name)
    return load(name) if text is None else parse(tomllib.loads(text))


def test_every_chip_of_the_studies_is_legal(layers: Any) -> None:
    """Its cells are loose but for those of the Gaussian process; no ideal one has an error, and the typical one has all."""
    for name in NAMES:
        chip = configured(layers, name)
        assert chip.name == name
        if layers.chip_text(name) is not None:
            flawed = chip.cell.offset_sigma_kt > 0 and chip.bias.dac.gain_sigma > 0
            assert flawed == (name == "typical-1024")
    assert configured(layers, "ideal-pdit-8").cell.states == 8  # type: ignore[union-attr]
    assert configured(layers, "width-pmode-adc-64").adc.count == 16
    assert configured(layers, "width-pmode-64").adc.count == 4


@contextmanager
def chips_of(layers: Any) -> Iterator[Any]:
    """Opens chips by name, in process."""

    @contextmanager
    def by_name(name: str) -> Iterator[tsu.Chip]:
        with opened(configured(layers, name)) as (_, chip):
            yield chip

    yield by_name


def test_a_study_runs_and_the_tool_reports_it(
    layers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A layer of p-bits takes the array 6 time constants of 100 ns and a strobe, be it of 16 units or of 1,024; one of pmodes
    takes 4 times as long if 4 times as many share the converters."""
    monkeypatch.setattr(layers, "chips", lambda: chips_of(layers))
    arguments = ["layers", "--only", "times", "--json", str(tmp_path / "rows.json"), "--figures", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    assert layers.main() == 0
    told = capsys.readouterr()
    rows = {row["name"]: row for row in json.loads((tmp_path / "rows.json").read_text())["rows"]}
    for width in (16, 256, 1024):
        assert rows[f"p-bits: physical time of a layer of {width}"]["value"] == pytest.approx(0.6, abs=0.1)
    assert rows["p-bits: growth of physical time, 64 times as wide"]["ok"]
    assert rows["pmodes, a converter for 4 cells: growth of physical time, 4 times as wide"]["value"] == 1.0
    assert rows["pmodes, 4 converters: growth of physical time, 4 times as wide"]["value"] > 3.5
    assert "goal <= 300: met" in told.out
    assert "times of width-pbit-16" in told.err
    assert (tmp_path / "layers-times.png").stat().st_size > 10_000


def test_agreement_is_refused_where_there_is_none(layers: Any) -> None:
    """Rows of p-bits without errors are met; those of p-bits with offsets of .2 kT that pass for ideal ones are not."""
    for name, good in (("ideal-pbit", True), ("x0-pbit", False)):
        with opened(configured(layers, name)) as (_, chip):
            layer = ChipLayer(chip, Pbit(), 2e-7)
            rows = agreement.ideal_rows("p-bit", layer, agreement.drives(Pbit(), chip.capabilities.cells))
            assert [row.ok for row in rows] == [good, True]


def test_unknown_studies_are_said(layers: Any) -> None:
    assert layers._studies("digits,times") == ["digits", "times"]
    with pytest.raises(argparse.ArgumentTypeError, match="no study 'magic'; there are agreement, digits"):
        layers._studies("times,magic")


def test_figures_are_drawn(tmp_path: Path) -> None:
    """From made-up data of the studies' shapes."""
    grid, rng = agreement.GRID, np.random.default_rng(0)
    curve = [0.9] * len(digits.COUNTS)
    z, points = np.linspace(-1, 1, 81), rng.normal(size=(50, 2))
    posterior = Posterior(np.zeros(81), np.linspace(-0.1, 1, 81))
    for name, figure in {
        "transfer": figures.transfer({k: (v[0], grid, 0 * grid, 0 * grid + 0.1) for k, v in agreement.KINDS.items()}),
        "digits": figures.digits({"curves": dict.fromkeys("abcd", curve), "ladder": rng.random((5, len(curve)))}),
        "sequences": figures.sequences({"errors": [2.0**-k for k in range(7)], "recall": {"mean": [0.5] * 4}}),
        "processes": figures.processes(
            {
                "points": (z[:9], z[:9], z), "exact": Posterior(z, z**2),
                "found": {f"{c}, {n}": posterior for c in ("spu-64", "ideal-spu-64") for n in processes.PASSES},
                "features": [0.2, 0.1, 0.05],
            }
        ),
        "generation": figures.generation(
            {"data": points, "noise": points, "points": {f"mean, {n}": points for n in generation.COUNTS}}
        ),
        "times": figures.times({"times": {"p-bits": (np.array([16, 64]), np.ones((2, 2)))}}),
    }.items():  # fmt: skip
        figure.savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 5_000
