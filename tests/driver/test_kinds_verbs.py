"""Every verb on every kind of cell: shapes, clamps, errors, bounds of waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tsu_driver as tsu
from driver.kinds import ANALOG, CELLS, TERMS, chip_of


@pytest.mark.parametrize("kind", list(CELLS))
def test_one_surface_for_all(kind: str) -> None:
    """Kind, terms, and types and shapes of what is read; 5 cells in 3 planes fill no window row to a whole word."""
    dtype = {"pbit": np.int8, "async-pbit": np.int8, "pdit": np.uint8}.get(kind, np.float64)
    with chip_of(kind, 5, planes=3) as (_, chip):
        assert (chip.kind, chip.terms) == (kind, TERMS[kind])
        assert kind in repr(chip)
        assert kind in chip._repr_html_()
        terms = len(TERMS[kind])
        values = np.zeros((5, terms))
        values[:, -1] = 1.0
        done = chip.program_couplings(h=values if terms > 1 else values[:, 0])
        assert done.bias_codes.shape == ((5, terms) if terms > 1 else (5,))
        assert chip.anneal(tsu.Linear(2.0, 1.0, 20)).sweeps == 20
        seen = chip.read()
        assert (seen.dtype, seen.shape) == (dtype, (3, 5))
        assert np.array_equal(chip.read(), seen)
        chip.enable_planes([0, 2])
        samples = chip.sample(4, every=2, burn=1)
        assert (samples.dtype, samples.shape) == (dtype, (4, 2, 5))
        assert np.array_equal(samples[-1], chip.read()[[0, 2]])
        assert np.isnan(chip.read()[1]).all() if kind in ANALOG else np.array_equal(chip.read()[1], seen[1])
        assert chip.sample(0).shape == (0, 2, 5)
        chip.enable_planes(0)
        assert chip.sample(3).shape == (3, 0, 5)
        assert chip.read().shape == (3, 5)


def test_samples_of_one_call_are_those_of_many() -> None:
    """Bit for bit, whatever goes over the link in one message."""
    seen = []
    for limit in (65536, 30):
        with chip_of("langevin", 3, planes=2) as (_, chip):
            chip.program_couplings(h=[[0.5, 1, 0, 0]] * 3)
            limits = chip._session.limits
            chip._session.limits = type(limits)(limit, limits.payload_bytes, limits.frames)
            seen.append(chip.sample(20, every=3))
    assert np.array_equal(*seen)
    assert len(np.unique(seen[0])) > 100


def test_pdits_are_clamped_to_states() -> None:
    with chip_of("pdit", 5, planes=3) as (_, chip):
        chip.clamp([1, 4], [2, 0])
        chip.clamp([0], [[1], [2]], planes=[2, 1])
        states = chip.sample(30)
        assert (states[:, :, [1, 4]] == [2, 0]).all()
        assert (states[:, 2, 0] == 1).all()
        assert (states[:, 1, 0] == 2).all()
        assert len(np.unique(states[:, 0, 0])) == 3
        chip.unclamp([1], planes=[1])
        states = chip.sample(30)
        assert len(np.unique(states[:, 1, 1])) == 3
        assert (states[:, [0, 2], 1] == 2).all()
        chip._bus.shadow.clear()
        chip.clamp([3], [1])
        states = chip.sample(5)
        assert (states[:, :, 3] == 1).all()
        assert (states[:, :, 4] == 0).all()
        for values, message in (
            ([3], r"clamp value 3 at index \(0,\); a state 0 .. 2 is expected"),
            ([-1], "clamp value -1"),
            ([1.0], r"clamp value 1.0 .*a state 0 .. 2"),
            ([True], "clamp value True"),
        ):
            with pytest.raises(tsu.HostError, match=message):
                chip.clamp([0], values)


@pytest.mark.parametrize("kind", ANALOG)
def test_analog_cells_are_clamped_to_values(kind: str) -> None:
    """To half a step of PIN and half of the converter's; 5 cells, so that rows of PIN begin in the midst of words."""
    with chip_of(kind, 5, planes=3) as (_, chip):
        h = np.zeros((5, len(chip.terms)))
        h[:, 1] = 1.0
        chip.program_couplings(h=h)
        chip.clamp([1], [0.7])
        chip.clamp([4, 0], [-3.3, 7.99], planes=[1])
        reach = 8.0
        step = reach * (0.5 / 2048 + 1 / 4096)
        x = chip.sample(20, every=2)
        assert np.abs(x[:, :, 1] - 0.7).max() <= step
        assert np.abs(x[:, 1, [4, 0]] - [-3.3, 7.99]).max() <= step
        assert x[:, [0, 2]][:, :, [0, 4]].std(axis=0).min() > 0.1
        chip.unclamp()
        assert chip.sample(20, every=2).std(axis=0).min() > 0.1
        for wrong in (8.0, -8.01, np.nan, np.inf):
            with pytest.raises(tsu.HostError, match=r"clamp value .* at index \(0,\); a value in -8 .. 7.99609 is expected"):
                chip.clamp([0], [wrong])


def test_what_the_host_gets_wrong() -> None:
    with chip_of("gaussian", 3, planes=2, pairs=[(0, 1)]) as (_, chip):
        calls: list[tuple[Callable[[], Any], str]] = [
            (lambda: chip.program_couplings(h=np.zeros(3)), r"biases of shape \(3,\); \(3, 2\) is expected, .* h, a"),
            (lambda: chip.program_couplings(h=[[0, 1], [0, np.inf], [0, 1]]), "term a of cell 1 is inf"),
            (lambda: chip.program_matrix(np.eye(2)), r"matrix of shape \(2, 2\); \(3, 3\)"),
            (lambda: chip.program_matrix(np.diag([1, -1, 1])), "not positive definite: its least eigenvalue is -1"),
            (lambda: chip.program_matrix(np.eye(3) + np.eye(3, k=1) / 4), r"not symmetric: \(0, 1\) is 0.25, \(1, 0\) is 0.0"),
            (lambda: chip.program_matrix(np.full((3, 3), np.nan)), r"element \(0, 0\) of the matrix is nan"),
            (lambda: chip.program_matrix(np.eye(3) + (np.eye(3, k=1) + np.eye(3, k=-1)) / 4), "no coupler through which"),
            (lambda: chip.read_states(), "only pdits and mixture cells have states; .* of the kind gaussian"),
            (
                lambda: chip.configure_correlator(data_planes=1, free_planes=1, tau_data=1, tau_free=1),
                "correlators average spins; this chip's cells are of the kind gaussian",
            ),
        ]
        for call, message in calls:
            with pytest.raises(tsu.HostError, match=message):
                call()
        assert chip.program_matrix(np.diag([1.0, 99, 1])).clipped == 1
    with chip_of("pdit", 2) as (_, chip):
        for call, message in (
            (lambda: chip.program_matrix(np.eye(2)), "gaussian cells; this chip's cells are of the kind pdit"),
            (lambda: chip.convert("external"), "no converters"),
            (lambda: chip.hold(True), "no converters"),
            (lambda: chip.adc_value([0], "cell"), "no converters"),
            (lambda: chip.set_adc_trims(0, 0), "no converters"),
        ):
            with pytest.raises(tsu.HostError, match=message):
                call()


def test_a_scan_as_long_as_many_sweeps_is_waited_for() -> None:
    """64 planes of 40 cells through one converter: 47,000 cycles a look, beside 106 of the sweep. In rolling mode the
    cells live on until the last sample is held, 4 cycles into its conversion."""
    with chip_of("langevin", 40, adc={"count": 1, "bits": 12}) as (_, chip):
        chip.program_couplings(h=[[0, 1.0, 0, 0]] * 40)
        assert np.isfinite(chip.sample(3)).all()
        assert chip.read_register("FABRIC.SWEEP") == 3
        ticks = ((64 * 40 - 1) * 18 + 4) // 100
        chip.hold(False)
        chip.sample(1)
        assert chip.read_register("FABRIC.SWEEP") == 4 + ticks
        chip.hold(True)
        chip.read()
        assert chip.read_register("FABRIC.SWEEP") == 4 + ticks
