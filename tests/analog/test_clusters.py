"""Clustered defects: means that stay, counts as the negative binomial law has them, clusters of the radius, one density a die."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from analog.test_process import field_covariance, lattice
from reference import noise
from serving import config
from tsu_emu.analog.clusters import local_rates
from tsu_emu.analog.dead import ALIVE, DOWN, FLOATING, UP, dead_cells, dead_cells_of
from tsu_emu.analog.stuck import StuckBits, draw_stuck_bits, stuck_bits_of
from tsu_emu.config import ChipConfig, Dead, Process
from tsu_emu.noise.functions import exponential
from tsu_emu.noise.streams import Stream
from tsu_emu.topology import build

Floats = NDArray[np.float64]
SIDE, DIES = 10, 4000


def rates(process: Process, rate: float, side: int = SIDE, dies: int = DIES) -> Floats:
    """(dies, cells) probabilities of a defect."""
    return np.array([local_rates(process, rate, lattice(side), seed) for seed in range(dies)])


def counts(process: Process, rate: float) -> Floats:
    """(dies,) dead cells."""
    return np.array([np.sum(dead_cells(Dead(up=rate), SIDE**2, d, p / rate) > 0) for d, p in enumerate(rates(process, rate))])


@pytest.mark.parametrize("radius", [0.0, 0.2])
@pytest.mark.parametrize("alpha", [0.5, 2.0])
def test_the_mean_rate_is_what_the_configuration_says(alpha: float, radius: float) -> None:
    """Small and large rates over 1,000 dies to 5 standard errors of their spread from die to die; none and all stay so."""
    process = Process(defect_alpha=alpha, defect_radius=radius)
    for rate in (1e-4, 0.02, 0.6):
        each = rates(process, rate, dies=1000)
        assert each.min() >= 0
        assert each.max() <= 1
        mean = each.mean(axis=1)
        assert abs(mean.mean() - rate) < 5 * mean.std() / np.sqrt(1000)
        assert 5 * mean.std() / np.sqrt(1000) < 0.4 * rate
    for rate in (0.0, 1.0):
        assert local_rates(process, rate, lattice(3), 1).tolist() == [rate]
    assert local_rates(Process(), 0.3, lattice(3), 1).tolist() == [0.3]


def test_the_share_of_dies_without_a_defect_is_the_yield_of_the_negative_binomial_law() -> None:
    """(1 + n lambda / alpha)^-alpha, n cells, binomial over 4,000 dies to 5 standard deviations.

    Power: of dies with half or twice the alpha, and of those whose defects are independent, another share is whole.
    """
    rate, n, alpha = 0.02, SIDE**2, 1.0
    intensity = alpha * ((1 - rate) ** (-1 / alpha) - 1)
    expected = (1 + n * intensity / alpha) ** -alpha
    for other, right in ((alpha, True), (alpha / 2, False), (2 * alpha, False), (0.0, False)):
        whole = np.sum(counts(Process(defect_alpha=other), rate) == 0)
        assert (abs(whole - DIES * expected) < 5 * np.sqrt(DIES * expected * (1 - expected))) == right


def test_the_formula_bit_for_bit() -> None:
    """Of one density a die, as docs/arithmetic.md has it, by the independent model's draws and logarithm."""
    seed, rate, square = (6 << 40) + 41, 0.02, 0.0
    for k in range(3):
        z = noise.normal_of(*noise.threefry((seed & noise.MASK32, seed >> 32, Stream.FIELD, 16 + k), (0, 0, 1, 0))[:2])
        square = square + z * z
    scale = 0.5 * (exponential(-noise.logarithm(1.0 - rate) / 1.5) - 1.0)
    expected = 1.0 - exponential(-(scale * square))
    assert local_rates(Process(defect_alpha=1.5), rate, lattice(2), seed).tolist() == [expected] * 4


def variance_of_counts(alpha: float, rate: float, correlation: Floats) -> float:
    """Of defects whose normal fields have this correlation: both of two cells work with the probability of the bivariate law."""
    x = (1 - rate) ** (-1 / alpha) - 1
    both = ((1 + x) ** 2 - (x * correlation) ** 2) ** -alpha
    together = 1 - 2 * (1 - rate) + both
    np.fill_diagonal(together, rate)
    return float(together.sum() - (rate * len(correlation)) ** 2)


def test_the_spread_of_counts_is_that_of_clusters_of_the_radius() -> None:
    """Variance of dead cells over 4,000 dies to 5 standard errors, sqrt((m4 - v^2) / n).

    Power: half and twice the radius, one density a die, twice the alpha and independent defects fail.
    """
    alpha, radius, rate = 1.0, 0.2, 0.1
    expected = variance_of_counts(alpha, rate, field_covariance(SIDE, radius))
    for other, r in ((alpha, radius), (alpha, radius / 2), (alpha, 2 * radius), (alpha, 0.0), (2 * alpha, radius), (0.0, 0.0)):
        n = counts(Process(defect_alpha=other, defect_radius=r), rate)
        error = np.sqrt((np.mean((n - n.mean()) ** 4) - n.var() ** 2) / DIES)
        assert (abs(n.var() - expected) < 5 * error) == ((other, r) == (alpha, radius)), (other, r)
    assert expected > 1.2 * rate * (1 - rate) * SIDE**2


def test_kinds_of_dead_cells_share_the_clusters() -> None:
    """In the same proportion wherever the density is; a cell dead at a low density is dead at a high one."""
    dead, factor = Dead(down=0.02, up=0.04, floating=0.04), np.repeat([0.5, 3.0], 20_000)
    kinds = dead_cells(dead, 40_000, 3, factor)
    for half, f in ((kinds[:20_000], 0.5), (kinds[20_000:], 3.0)):
        for kind, p in ((DOWN, 0.02), (UP, 0.04), (FLOATING, 0.04)):
            assert abs(np.sum(half == kind) - 20_000 * f * p) < 5 * np.sqrt(20_000 * f * p)
    few, many = (dead_cells(dead, 40_000, 3, np.array([f])) != ALIVE for f in (0.5, 3.0))
    assert not np.any(few & ~many)


# Of a chip

GRID = {"kind": "grid", "width": 12, "height": 12, "rules": [[1, 0], [2, 1]]}
DAC = {"stuck_bit_probability": 0.02}


def chip(die: int, topology: dict[str, Any] = GRID, **process: float) -> ChipConfig:
    return config(topology, 1, seeds={"die": die}, process=process, coupling={"dac": DAC}, bias={"dac": DAC},
                  cell={"kind": "pbit", "dead": {"down": 0.02, "floating": 0.04}})  # fmt: skip


def stuck(bits: StuckBits) -> int:
    return int(np.sum(np.unpackbits(bits.mask.view(np.uint8))))


def test_dead_cells_and_stuck_bits_of_a_die_come_together() -> None:
    """Counts over 400 dies: of any two correlated by more than 5 / sqrt(n) with clusters, by less without."""
    topology = build(chip(1).fabric)
    for process, together in (({"defect_alpha": 1.0}, True), ({}, False)):
        found = []
        for die in range(400):
            c = chip(die, **process)
            bits = [stuck(stuck_bits_of(c, topology, n, bank)) for bank, n in enumerate((len(topology.source), 144))]
            found.append([np.sum(dead_cells_of(c, topology) != ALIVE), *bits])
        correlation = np.corrcoef(np.array(found).T)[np.triu_indices(3, 1)]
        assert np.all((np.abs(correlation) > 5 / np.sqrt(400)) == together)
        means = np.mean(found, axis=0) / [144, 8 * len(topology.source), 8 * 144]
        errors = np.std(found, axis=0) / [144, 8 * len(topology.source), 8 * 144] / 20
        assert np.all(np.abs(means - [0.06, 0.02, 0.02]) < 5 * errors)


def test_stuck_bits_lie_where_cells_are_dead() -> None:
    """On a die of 60 x 60 cells with clusters of a tenth of it; biases lie at their cells, couplers midway between two."""
    large = {**GRID, "width": 60, "height": 60}
    for process, together in (({"defect_alpha": 0.5, "defect_radius": 0.1}, True), ({}, False)):
        c = chip(3, large, **process)
        topology = build(c.fabric)
        dead = dead_cells_of(c, topology) != ALIVE
        mask = stuck_bits_of(c, topology, len(topology.source), 0).mask != 0
        into = np.add.reduceat(mask.astype(np.int64), topology.row[:-1])
        for defects in (stuck_bits_of(c, topology, 3600, 1).mask != 0, into):
            # dead and stuck cells are independent where there is no density: chance alone gives 1 / sqrt(n)
            assert (np.corrcoef(dead, defects)[0, 1] > 5 / 60) == together


def test_without_clusters_defects_are_those_of_before_bit_for_bit() -> None:
    c = chip(5, dies_per_wafer=9, tail_degrees=4)
    topology, couplers = build(c.fabric), len(build(c.fabric).source)
    assert np.array_equal(dead_cells_of(c, topology), dead_cells(c.cell.dead, 144, 5))
    for bank, count in enumerate((couplers, 144)):
        right = draw_stuck_bits(0.02, 8, count, 5, Stream.STUCK_BITS, bank)
        assert all(np.array_equal(a, b) for a, b in zip(stuck_bits_of(c, topology, count, bank), right, strict=True))
