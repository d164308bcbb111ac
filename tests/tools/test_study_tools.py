"""Chips in process are those of the daemon; the studies of tools/study measure what they say, and notice when they do not."""

from __future__ import annotations

import dataclasses
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tsu_driver as tsu
from tsu_driver.instruments import Instruments
from tsu_emu.bench.client import Oracle, OracleError

pytest.importorskip("xarray")
pytest.importorskip("h5netcdf")
pytest.importorskip("matplotlib")
pytest.importorskip("scipy")

from tsu_apps.study import Fleet, run
from tsu_testing.in_process import open_in_process

TOOLS = Path(__file__).parents[2] / "tools"


def module(name: str) -> Any:
    """A module of tools or tools/study."""
    for folder in (TOOLS, TOOLS / "study"):
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
    return importlib.import_module(name)


bits, spread = map(module, ("bits", "spread"))


# Chips in process


def life(chip: tsu.Chip, lab: Instruments, oracle: Oracle) -> Iterator[Any]:
    """What a host sees of a chip that it programs, runs, heats and reads; and the digest of all its state."""
    rng = np.random.default_rng(1)
    pairs, cap = chip.topology.pairs, chip.capabilities
    h = rng.normal(size=(cap.cells, cap.terms))
    yield chip.name, cap
    yield chip.program_couplings((pairs, rng.normal(size=len(pairs))), h if cap.terms > 1 else h[:, 0]).coupling_codes.tolist()
    yield chip.sample(20, 3, 10).tolist()
    yield lab.ambient(310.0), lab.skip(5.0)
    yield oracle.inject("stuck-cell", cell=2, at="up")
    yield chip.sample(20, 3).tolist(), chip.die_temperature(), chip.time_cycles, chip.stats
    yield chip.convert("reference-low", n=64, adc=1).codes.tolist() if chip.capabilities.adc_count else None
    yield oracle.truth("slope").tolist(), oracle.identify(), oracle.faults(), lab.identity, lab.read()
    yield oracle.digest()


@pytest.mark.parametrize("name", ["digits-typical", "langevin-16"])
def test_a_chip_in_process_is_bit_for_bit_that_of_the_daemon(name: str) -> None:
    url = f"emu:{name}?die_seed=7&run_seed=8&threads=1&bench=1&coupling.dac.bits=7"
    changes = {"coupling.dac.bits": 7}
    with tsu.open(url) as chip, Instruments(str(chip.instruments_url)) as lab, Oracle(str(chip.oracle_url)) as oracle:
        wanted = [repr(seen) for seen in life(chip, lab, oracle)]
    with open_in_process(name, die_seed=7, run_seed=8, changes=changes) as chip:
        assert [repr(seen) for seen in life(chip, chip.instruments, chip.oracle)] == wanted
    with open_in_process(name, die_seed=7, run_seed=9, changes=changes) as chip:
        assert [repr(seen) for seen in life(chip, chip.instruments, chip.oracle)][-1] != wanted[-1]


def test_refusals_are_the_same_and_a_closed_chip_says_so() -> None:
    with open_in_process("ideal-16") as chip:
        with pytest.raises(tsu.HostError, match="1310"):
            chip.instruments.ambient(1310.0)
        with pytest.raises(OracleError, match="no-such"):
            chip.oracle.truth("no-such")
        with pytest.raises(tsu.HostError, match="RESERVED_BITS"):
            chip.write_register("SEQ.CTRL", 1 << 31)
    with pytest.raises(tsu.LinkError, match="closed"):
        chip.read_register("SYS.ID")


# Studies


def test_studies_are_listed() -> None:
    done = subprocess.run([sys.executable, str(TOOLS / "study"), "--list"], capture_output=True, text=True, timeout=100)
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "bits", "calibration", "commands", "defended", "effort", "faults", "holding", "intervals", "precision", "programme",
        "readout", "spread", "trims", "twin",
    ]  # fmt: skip


def failing(rows: Any) -> list[str]:
    return [row.name for row in rows if row.ok is False]


def rms(rows: Any, name: str) -> float:
    return float(rows[f"{name}s measured less truth, in their errors: rms"].value)


def test_spreads_are_those_of_the_configuration_and_others_are_refused(tmp_path: Path) -> None:
    """Six dies. Own spreads lie within 5 standard errors of the configuration's. Measured values lie about their truth by their
    errors, of which 16 groups tell each within 18 %, and by 1/f noise beside: an rms of 1 to 1.5. Values twice as far from the
    mean, and a truth that lacks what the pins show, are refused."""
    data = run(dataclasses.replace(spread.STUDY, dies=6), Fleet(workers=0), tmp_path).data
    rows = {row.name: row for row in spread.judge(data)}
    assert not failing(rows.values())
    for name in ("offset", "slope"):
        assert 0.85 < rms(rows, name) < 1.6
    wrong = data.copy()
    wrong["offset_seen"] = 0.0 * data["offset_seen"]
    assert rms({row.name: row for row in spread.judge(wrong)}, "offset") > 5
    for name, mean in spread.MEANS.items():
        wrong[f"{name}_own"] = mean + 2 * (data[f"{name}_own"] - mean)
    assert len(failing(spread.judge(wrong))) == 2
    assert spread.draw(data).keys() == {"spread-offset", "spread-slope"}


def test_the_error_of_a_root_mean_square_is_that_of_theory() -> None:
    """Mean squares of 2,000 dies of 50 cells each: error sigma / sqrt(2 * 100,000) = .0022 sigma; the jackknife's own error is
    1 / sqrt(2 * 2000) = 1.6 %, so 8 % are 5 of its standard errors."""
    squares = (3.0 * np.random.default_rng(2).standard_normal((2000, 50))) ** 2
    value, error = spread.jackknife(squares.mean(axis=1))
    wanted = 3.0 / np.sqrt(2 * 100_000)
    assert abs(value - 3.0) < 5 * wanted
    assert error == pytest.approx(wanted, rel=0.08)


def test_the_distance_of_samples_of_the_law_is_at_the_floor() -> None:
    """Of 200 sets of independent samples: 64 shares make its spread about 10 %, so the mean is known within 1 %; 5 of that."""
    law = bits.problem()[3]
    counts = np.random.default_rng(3).multinomial(bits.SAMPLES, law, size=200)
    assert np.mean([bits.distance(one) for one in counts]) == pytest.approx(bits.floor(), rel=0.05)


def test_bits_and_heat_are_told_from_a_chip_without_errors(tmp_path: Path) -> None:
    """Two dies at the ends of every axis; where all have the distance of the best chip nothing is told from it."""
    ends = [dataclasses.replace(axis, values=(axis.values[0], axis.values[-1])) for axis in bits.STUDY.axes]
    data = run(dataclasses.replace(bits.STUDY, axes=ends, dies=2), Fleet(workers=0), tmp_path).data
    assert not failing(bits.judge(data))
    same = data.copy()
    same["tv"] = (
        data["tv"].sel(bits=10, mismatch=0.0, temperature_error=0.0).broadcast_like(data["tv"]).transpose(*data["tv"].dims)
    )
    assert len(failing(bits.judge(same))) == 3
    assert bits.draw(data).keys() == {"bits"}
