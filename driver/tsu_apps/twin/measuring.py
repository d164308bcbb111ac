"""Measure a chip as it is, through its pins: what every cell feels of its own bias and of each neighbour, and the true T."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_apps.calibrate.couplers import PLAUSIBLE, by_degree, matrix, patterns
from tsu_apps.calibrate.procedure import rms_less
from tsu_apps.calibrate.regression import fit_fields
from tsu_apps.calibrate.selftest import self_test
from tsu_apps.calibrate.temperature import SETTINGS
from tsu_apps.calibrate.work import Work
from tsu_apps.characterise.problems import colouring
from tsu_apps.twin.drift import watch_drift
from tsu_apps.twin.fit import Fit, FitError, Floats
from tsu_contract.capabilities import LSB_SCALE
from tsu_driver import Calibration, Chip, Programmed
from tsu_driver.errors import HostError

FIELD, BIAS = 1.0, 0.5
"""Spread of the field of all neighbours, and of the bias, in the problems that a chip is measured with, kT."""
PROBLEMS = 3
"""Problems; each is run as it is and with all its signs turned."""
STEPS_RMS = float(np.sqrt(np.mean(np.arange(1, PROBLEMS + 1) ** 2)))
SAMPLES, SAMPLES_T = 200_000, 60_000
"""Samples of each cell in a run, and at each temperature."""
ODD = 8.0
"""Residuals, in medians, beyond which a converter has more than the usual mismatch: stuck bits, as a rule."""
STEPS = 30
LEAST_GAIN, MOST_ERROR = 0.4, 0.2
"""A cell works if its response to its bias is greater, and known better: of a cell that never moves nothing is known."""


def measure(chip: Chip, effort: float = 1.0, *, watch_s: float = 0.0, step: Callable[[float], None] = lambda share: None) -> Fit:
    """The fit of a chip of clocked p-bits with the trims that it has; what it was programmed with is lost.

    effort : samples are as many as usual, times this; errors go with its root
    watch_s : chip time for which offsets are watched for drift; 0: they are not
    step : called with the share of the work that was done since the last call
    FitError: other cells, or cells that do not work.
    """
    if chip.kind != "pbit":
        raise FitError(f"cells of this chip are of kind {chip.kind}; a twin is made of clocked p-bits")
    with _nominal_codes(chip):
        work = Work(chip, chip.calibration or Calibration.nominal(chip.capabilities), effort, lambda share: step(0.05 * share))
        test = self_test(work)
        stuck = Fit.ideal(chip).but(coupling_stuck=test.stuck.astype(np.int64), bias_stuck=test.stuck_biases)
        work = replace(work, step=lambda share: step(0.95 * share))
        work.quiet()
        fit = _temperature(work, _fields(work, stuck))
        return fit.but(drift=watch_drift(work, fit, watch_s)) if watch_s else fit


@contextmanager
def _nominal_codes(chip: Chip) -> Iterator[None]:
    """Codes of T are nominal ones, whatever calibration is in force; trims stay."""
    held = chip.calibration
    if held is None:
        yield
        return
    trims = chip.trims() if chip.capabilities.trim_bits else None

    def apply(calibration: Calibration) -> None:
        chip.apply_calibration(calibration)
        if trims is not None:
            chip.set_trims(*trims)

    apply(held.but(temperature=(1.0, 0.0)))
    try:
        yield
    finally:
        apply(held)


@dataclass(frozen=True)
class _Problem:
    """What the chip was programmed with, kT at nominal codes: (couplers,) and (cells,); and the codes."""

    J: Floats
    h: Floats
    codes: Programmed


def _problem(chip: Chip, number: int, sign: float, stuck: Fit) -> _Problem:
    """Couplings and biases so small that cells do not saturate: each element has a third, two thirds and all of the most, each in
    one of the problems, with random signs; where bits are stuck it has what they leave of that. stuck : a fit that knows them"""
    rng, cap = np.random.default_rng(number), chip.capabilities
    heard = int(np.diff(chip.topology.row.astype(np.int64)).max(initial=1))
    full_scale = cap.coupling_lsb * LSB_SCALE * (1 << cap.coupling_bits - 1)

    def steps(count: int) -> Floats:
        turn = np.random.default_rng(PROBLEMS).integers(PROBLEMS, size=count)
        return np.asarray(rng.choice([-1.0, 1.0], count) * ((turn + number) % PROBLEMS + 1) / STEPS_RMS)

    spread = min(FIELD / np.sqrt(max(heard, 1)), 0.7 * full_scale)
    J, h = sign * spread * steps(cap.couplers), sign * BIAS * steps(cap.cells)
    codes = chip.program_couplings(matrix(chip, J), h, corrected=False)
    coupling, bias = stuck.heard(codes.coupling_codes, codes.bias_codes)
    lsb_J, lsb_h = cap.coupling_lsb * LSB_SCALE, cap.bias_lsb * LSB_SCALE
    return _Problem(coupling.astype(np.float64) * lsb_J, bias.astype(np.float64) * lsb_h, codes)


Looks = tuple[NDArray[np.int64], int, Floats, NDArray[np.int8]]
"""Cells of a colour, looks, and of each pattern that the others were clamped to how often cells were up, and their spins."""


def _looks(work: Work, wanted: int, seed: int, share: float) -> Iterator[Looks]:
    """For each colour, all others clamped at random."""
    chip, rng = work.chip, np.random.default_rng(seed)
    colour = colouring(chip.topology)
    most, colours = int(np.diff(chip.topology.row.astype(np.int64)).max(initial=0)), int(colour.max()) + 1
    for c in range(colours):
        yield np.flatnonzero(colour == c), *patterns(work, np.flatnonzero(colour != c), wanted, most, rng, share / colours)


def _fields(work: Work, stuck: Fit) -> Fit:
    """Gains and offsets of biases and couplers, from straight lines through what cells felt in all runs.

    stuck : an ideal chip with the stuck bits of this one
    """
    chip, runs = work.chip, [(k, sign) for k in range(PROBLEMS) for sign in (1.0, -1.0)]
    J, heard, heard_error = np.empty((3, len(runs), chip.capabilities.couplers))
    h, felt, felt_error = np.empty((3, len(runs), chip.capabilities.cells))
    for r, (number, sign) in enumerate(runs):
        problem = _problem(chip, number, sign, stuck)
        J[r], h[r] = problem.J, problem.h
        expected_J, expected_h = _after(J[: r + 1], heard[:r]), _after(h[: r + 1], felt[:r])
        for cells, looks, ups, spins in _looks(work, SAMPLES, r, 0.7 / len(runs)):
            for members, at in by_degree(chip, cells):
                sources = chip.topology.source[at].astype(np.int64)
                start = np.concatenate([expected_h[members][:, None], expected_J[at]], axis=1)
                fitted, errors = fit_fields(ups[:, members].T, looks, spins, sources, start, 1.0)
                felt[r, members], heard[r, at] = fitted[:, 0], fitted[:, 1:]
                felt_error[r, members], heard_error[r, at] = errors[:, 0], errors[:, 1:]
    bias, coupler = straight(h, felt, felt_error), straight(J, heard, heard_error)
    odd = ~((coupler.gain > PLAUSIBLE[0]) & (coupler.gain < PLAUSIBLE[1]))
    gain, gain_error = np.where(odd, 1.0, coupler.gain), np.where(odd, PLAUSIBLE[1] - 1.0, coupler.gain_error)
    dead = np.flatnonzero(~(bias.gain > LEAST_GAIN) | (bias.gain_error > MOST_ERROR)).tolist()
    if dead:
        raise FitError(f"cells {dead} do not follow their bias; a twin is made of chips whose cells work")
    return stuck.but(
        offset=bias.offset, offset_error=bias.offset_error, bias_gain=bias.gain, bias_gain_error=bias.gain_error,
        coupler_offset=np.where(odd, 0.0, coupler.offset), coupler_offset_error=coupler.offset_error,
        coupler_gain=gain, coupler_gain_error=gain_error, coupler_spread=coupler.spread, bias_spread=bias.spread,
    )  # fmt: skip


def _after(values: Floats, found: Floats) -> Floats:
    """What the last of (runs, n) values is expected to give, after the runs before."""
    return np.asarray(values[-1] + (found - values[:-1]).mean(axis=0) if len(found) else values[-1])


class Line(NamedTuple):
    """Straight lines y = offset + gain x, (n,) each, with standard errors; spread : rms of points about them beyond the points'
    own errors."""

    offset: Floats
    offset_error: Floats
    gain: Floats
    gain_error: Floats
    spread: float


def straight(x: Floats, y: Floats, errors: Floats) -> Line:
    """Weighted least squares through (runs, n) points, runs > 2."""
    w = errors**-2.0
    total = w.sum(axis=0)
    middle, height = (w * x).sum(axis=0) / total, (w * y).sum(axis=0) / total
    wide = np.maximum((w * (x - middle) ** 2).sum(axis=0), 1e-9)
    gain = (w * (x - middle) * (y - height)).sum(axis=0) / wide
    offset = height - gain * middle
    residual = (y - offset - gain * x) * np.sqrt(len(x) / (len(x) - 2))
    most = ODD * np.median(abs(residual)) if residual.size else 0.0
    usual = abs(residual).max(axis=0, initial=0.0) < most
    return Line(offset, np.sqrt(1.0 / total + middle**2 / wide), gain, wide**-0.5, rms_less(residual[:, usual], errors[:, usual]))


def _temperature(work: Work, fit: Fit) -> Fit:
    """The gain of T, from how much less cells follow fields that are known, as far as the DAC goes."""
    chip = work.chip
    codes = _problem(chip, 0, 1.0, fit).codes
    J, h = fit.felt(codes.coupling_codes, codes.bias_codes)
    told = matrix(chip, J)
    points = []
    for k, t in enumerate(SETTINGS):
        try:
            nominal = chip.set_temperature(t)
        except HostError:
            continue
        parts = []
        for cells, looks, ups, spins in _looks(work, SAMPLES_T, 100 + k, 0.2 / len(SETTINGS)):
            fields = (told @ spins.T.astype(np.float64)).T + h
            parts.append((fields[:, cells].ravel(), ups[:, cells].ravel(), np.full(fields[:, cells].size, looks)))
        points.append((nominal, *inverse_temperature(*(np.concatenate(part) for part in zip(*parts, strict=True)))))
    chip.set_temperature(1.0)
    t, beta, error = np.array(points).T
    x, y, w = t - 1.0, 1.0 / beta - 1.0, (beta**2 / error) ** 2
    far = float((w * x * x).sum())
    return fit.but(temperature=float((w * x * y).sum()) / far, temperature_error=far**-0.5) if far else fit


def inverse_temperature(fields: Floats, ups: Floats, looks: NDArray[np.int64]) -> tuple[float, float]:
    """(1 / T, its standard error) under which cells that felt these fields, kT at T = 1, were up so often in `looks` looks;
    (n,) each."""
    beta = 1.0
    for _ in range(STEPS):
        t = np.tanh(beta * fields)
        curvature = float((looks * (1.0 - t**2) * fields**2).sum())
        change = float(((2.0 * ups - looks * (1.0 + t)) * fields).sum()) / curvature
        beta += float(np.clip(change, -0.5 * beta, beta))
        if abs(change) < 1e-9:
            break
    return beta, curvature**-0.5
