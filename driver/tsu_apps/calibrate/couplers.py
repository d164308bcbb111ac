"""Gain and offset of every coupler, each direction by itself, all of a colour's cells at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_apps.calibrate.procedure import Procedure, Result, rms_less
from tsu_apps.calibrate.regression import fit_fields
from tsu_apps.calibrate.work import SAMPLES_AT_ONCE, SETTLE_SWEEPS, Floats, Work
from tsu_apps.characterise.problems import colouring
from tsu_contract.capabilities import LSB_SCALE
from tsu_driver import Chip

FIELD = 2.0
"""Spread of the field that a cell hears of all its neighbours while its couplers are measured, kT.

A gain's error goes down with the coupling and up as cells saturate: by a factor of 1.5 from 1 to 2 kT."""
PATTERNS = 10
"""Patterns for each coupler that a cell hears, at least."""
SAMPLES, QUICK = 800_000, 100_000
"""Samples of each cell in either sign of its couplers, in a calibration and in a look."""
PLAUSIBLE = (0.5, 1.5)
"""Gains of couplers that work."""


class Couplers(Procedure):
    """What each coupler gives for what it is set to: gain and offset, from couplings of both signs under random clamps."""

    name, title = "couplers", "gains and offsets of couplers"
    needs = ("slopes",)
    unit, limit = "", 0.015

    def suits(self, work: Work) -> bool:
        return work.chip.capabilities.couplers > 0

    def look(self, work: Work) -> tuple[Floats, Floats]:
        """Errors of gains that are left after the calibration in force."""
        gain, _, errors = self._measure(work, QUICK, seed=work.chip.time_cycles, share=1.0)
        known = work.calibration.coupler_gain
        ok = heard_by_good(work) & np.isfinite(errors)
        return (gain - known)[ok], errors[ok]

    def find(self, work: Work) -> Result:
        gain, offset, errors = self._measure(work, SAMPLES, seed=1, share=1.0)
        good = heard_by_good(work)
        ok = good & (gain > PLAUSIBLE[0]) & (gain < PLAUSIBLE[1])
        level = self._level(work)
        best_gain, best_offset = np.ones(len(gain)), np.zeros(len(gain))
        left = np.zeros(len(gain))
        best_gain[ok], left[ok] = shrunk(gain[ok], errors[ok])
        best_offset[ok], _ = shrunk(offset[ok], errors[ok] * level)
        changes = {"coupler_gain": best_gain.astype(np.float32), "coupler_offset": best_offset.astype(np.float32)}
        before = gain - work.calibration.coupler_gain
        return Result(left, np.zeros(len(gain)), before, ok, self.unit, changes)

    def _level(self, work: Work) -> float:
        """The coupling that couplers are set to, kT: on the grid of the DACs, at least two steps."""
        lsb, heard = work.chip.capabilities.coupling_lsb * LSB_SCALE, np.diff(work.chip.topology.row.astype(np.int64))
        half = (1 << work.chip.capabilities.coupling_bits - 2) - 1
        return float(lsb * np.clip(np.rint(FIELD / np.sqrt(max(heard.max(), 1)) / lsb), 2, half))

    def _measure(self, work: Work, wanted: int, seed: int, share: float) -> tuple[Floats, Floats, Floats]:
        """(gains, offsets in kT, errors of gains), (couplers,) each.

        Couplers of cells that do not work are set to 0, as nobody knows what their sources give; they have gain 0 and an
        infinite error, and so has a coupler whose bits are stuck so that it has but one of the two settings.
        """
        work.quiet()
        level, couplers = self._level(work), work.chip.capabilities.couplers
        signs = np.where(heard_by_good(work), np.random.default_rng(seed).choice([-1.0, 1.0], couplers), 0.0)
        found = [self._fields(work, wanted, k * signs * level, seed + i, share / 2) for i, k in enumerate((1.0, -1.0))]
        (up, plus, error_plus), (down, minus, error_minus) = found
        apart = up - down
        gain = np.divide(plus - minus, apart, out=np.zeros(couplers), where=apart != 0)
        errors = np.divide(np.hypot(error_plus, error_minus), abs(apart), out=np.full(couplers, np.inf), where=apart != 0)
        return gain, 0.5 * (plus + minus - gain * (up + down)), errors

    def _fields(self, work: Work, wanted: int, J: Floats, seed: int, share: float) -> tuple[Floats, Floats, Floats]:
        """(what couplers are set to, as near to J as stuck bits allow; as they are heard; errors), (couplers,) kT."""
        codes = work.chip.program_couplings(matrix(work.chip, J), corrected=False).coupling_codes
        J = codes.astype(np.float64) * (work.chip.capabilities.coupling_lsb * LSB_SCALE)
        return J, *heard(work, J, work.calibration.good, wanted, seed, share)


def heard(work: Work, J: Floats, good: NDArray[np.bool_], wanted: int, seed: int, share: float) -> tuple[Floats, Floats]:
    """(what cells that are good hear through couplers as they are programmed; errors), (couplers,) kT; 0 and infinite of others.

    J : (couplers,) kT that is expected; wanted : samples of each cell; seed : of the patterns of neighbours
    """
    topology, rng = work.chip.topology, np.random.default_rng(seed)
    found, errors = np.zeros(len(J)), np.full(len(J), np.inf)
    colour, degree = colouring(topology), np.diff(topology.row.astype(np.int64))
    colours = int(colour.max()) + 1
    for c in range(colours):
        cells = np.flatnonzero((colour == c) & good & (degree > 0))
        if not len(cells):
            continue
        looks, ups, spins = patterns(work, np.flatnonzero(colour != c), wanted, int(degree.max()), rng, share / colours)
        for members, at in by_degree(work.chip, cells):
            sources = topology.source[at].astype(np.int64)
            start = np.concatenate([np.zeros((len(members), 1)), J[at]], axis=1)
            fitted, spread = fit_fields(ups[:, members].T, looks, spins, sources, start, 1.0)
            found[at], errors[at] = fitted[:, 1:], spread[:, 1:]
    return found, errors


def matrix(chip: Chip, J: Floats) -> Any:
    """Couplings (couplers,) as a sparse matrix, [i, j] being what cell i hears of cell j."""
    from scipy.sparse import csr_matrix

    t, n = chip.topology, chip.capabilities.cells
    return csr_matrix((J, t.source.astype(np.int64), t.row.astype(np.int64)), shape=(n, n))


def patterns(
    work: Work, clamped: NDArray[np.int64], wanted: int, degree: int, rng: np.random.Generator, share: float
) -> tuple[int, Floats, NDArray[np.int8]]:
    """(looks, how often each cell was up in them (patterns, cells), what was clamped (patterns, cells)): random patterns of the
    clamped cells, one in every plane, enough to tell `degree` neighbours apart; `wanted` samples of each cell in all."""
    chip = work.chip
    planes, cells = len(chip.enabled_planes), chip.capabilities.cells
    rounds = max(2, -(-PATTERNS * (degree + 1) // planes))
    looks = max(1, round(wanted * work.effort / (planes * rounds)))
    every, burn = (1, 2) if chip.kind == "pbit" else (3, SETTLE_SWEEPS)
    ups, spins = np.zeros((rounds * planes, cells)), np.zeros((rounds * planes, cells), np.int8)
    for r in range(rounds):
        values = rng.choice(np.array([-1, 1], np.int8), (planes, len(clamped)))
        chip.clamp(clamped, values)
        part = slice(r * planes, (r + 1) * planes)
        spins[part, clamped] = values
        for first in range(0, looks, SAMPLES_AT_ONCE):
            n = min(SAMPLES_AT_ONCE, looks - first)
            seen = chip.sample(n, every, burn if not first else 0)
            ups[part] += (seen.sum(axis=0, dtype=np.int64) + n) / 2
        work.step(share / rounds)
    chip.unclamp()
    return looks, ups, spins


def by_degree(chip: Chip, cells: NDArray[np.int64]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """(cells, (cells, d) numbers of the couplers that they hear), for each degree d among the cells."""
    row = chip.topology.row.astype(np.int64)
    degree = np.diff(row)[cells]
    return [(m, row[m][:, None] + np.arange(d)) for d in np.unique(degree).tolist() for m in (cells[degree == d],)]


def heard_by_good(work: Work) -> NDArray[np.bool_]:
    """(couplers,) whether both ends work."""
    t, good = work.chip.topology, work.calibration.good
    return np.asarray(good[t.target.astype(np.int64)] & good[t.source.astype(np.int64)])


def shrunk(values: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """Estimates drawn towards their mean as far as their spread is noise (Efron and Morris, JASA 70, 1975, 311), and the error
    that is then to be expected of each."""
    if not values.size:
        return values, errors
    middle = np.average(values, weights=errors**-2.0)
    true = rms_less(values - middle, errors) ** 2
    share = true / (true + errors**2)
    return np.asarray(middle + (values - middle) * share), np.asarray(np.sqrt(share) * errors)
