"""Answers that settled cells give: A x = b by their mean, A^-1 by their covariance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tsu_apps.linear.averages import Floats, autocovariances, correlation_time, covariance_error, mean_error
from tsu_apps.linear.ranges import FILL, HALVINGS, Ranges, prepare, too_wide
from tsu_driver import Chip

SETTLED = 3.0
"""Integrated autocorrelation times of the slowest cell that burn-in has to last; each is about two relaxation times."""
ANSWER = 5.0
"""Standard errors by which some cell has to answer to a bias."""
CLIPPED = "ADC.CLIPPED"


@dataclass(frozen=True)
class Looks:
    """How a chip is averaged over, in ticks: `burn`, then `count` looks, `every` ticks each, at all enabled planes."""

    count: int = 100
    every: int = 4
    burn: int = 60

    def __post_init__(self) -> None:
        for name, least in (("count", 2), ("every", 1), ("burn", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"Looks.{name} = {getattr(self, name)}; at least {least} is expected")


@dataclass(frozen=True)
class Solution:
    """x of A x = b.

    x : (n,) float64
    error : (n,) standard error of x by the noise of the last round alone; what the chip's own errors do to x shows in `residual`
    residuals : |b - A x| / |b| after each round, reckoned by the host
    tau : (n,) integrated autocorrelation times of the cells, ticks
    alpha, beta : A and (in the first round) b were scaled by these into the ranges of the DACs
    clipped : conversions beyond the readout range
    """

    x: Floats
    error: Floats
    residuals: tuple[float, ...]
    tau: Floats
    alpha: float
    beta: float
    clipped: int

    @property
    def residual(self) -> float:
        """|b - A x| / |b| at the end."""
        return self.residuals[-1]


@dataclass(frozen=True)
class Inverse:
    """A^-1.

    matrix, error : (n, n) float64, and standard errors by noise alone
    tau : (n,) integrated autocorrelation times of the cells, ticks
    alpha : A was scaled by this into the ranges of the DACs
    """

    matrix: Floats
    error: Floats
    tau: Floats
    alpha: float


def solve(
    chip: Chip,
    A: ArrayLike,
    b: ArrayLike,
    *,
    refinements: int = 0,
    temperature: float = 1 / 16,
    looks: Looks | None = None,
) -> Solution:
    """x of A x = b as the mean of cells with the stiffness matrix A under the bias b, time-averaged (Aifer et al., arXiv
    2308.05660).

    A : (n, n) symmetric positive definite, n up to the chip's cells; b : (n,)
    refinements : further rounds, each of which solves for what is left, b - A x, and adds it (iterative refinement, Wilkinson
        1963): the chip's steps and static errors then limit the speed and no longer the accuracy. A round that does not
        improve is undone and is the last.
    temperature : of the cells; the mean does not depend on it, the noise does
    looks : how long to average; None for Looks()
    Offsets, of converters and cells, are measured first with b = 0 and taken off. ValueError names what is wrong with the
    arguments, or says that cells had not settled or do not answer to a bias; HostError if A is no such matrix.
    """
    ranges, plan = Ranges(chip), looks or Looks()
    matrix = ranges.matrix(A)
    target = ranges.vector(b, len(matrix))
    if refinements < 0:
        raise ValueError(f"refinements = {refinements}; 0 or more is expected")
    if not target.any():
        raise ValueError("b is 0, and so is x; a right-hand side that is not 0 is expected")
    prepare(chip, temperature)
    settled = _Settled(chip, ranges, matrix, plan)
    x, error, left, residuals, betas = np.zeros_like(target), np.zeros_like(target), target, list[float](), list[float]()
    for _ in range(refinements + 1):
        step, step_error, beta = settled.answer(left)
        now = target - matrix @ (x + step)
        residual = float(np.linalg.norm(now) / np.linalg.norm(target))
        if residuals and residual >= residuals[-1]:
            break
        x, error, left = x + step, step_error, now
        residuals.append(residual)
        betas.append(beta)
        if not left.any():
            break
    return Solution(x, error, tuple(residuals), settled.tau, settled.alpha, betas[0], settled.clipped)


class _Settled:
    """A matrix on the chip, its offsets known, to be asked for several right-hand sides.

    tau : (n,) integrated autocorrelation times, ticks; clipped : conversions clipped so far in averages
    """

    def __init__(self, chip: Chip, ranges: Ranges, matrix: Floats, looks: Looks) -> None:
        self._chip, self._ranges, self._looks = chip, ranges, looks
        self.alpha = ranges.alpha(matrix)
        self._scaled = self.alpha * matrix
        self.clipped = 0
        ranges.program(chip, self._scaled, np.zeros(len(matrix)))
        x = self._average()
        self.tau = looks.every * correlation_time(x)
        self._offset, self._offset_error = mean_error(x)
        _require_settled(self.tau, looks)

    def answer(self, vector: Floats) -> tuple[Floats, Floats, float]:
        """(x, standard error, beta): A^-1 vector with the greatest beta, halved until the cells fit their range."""
        beta = self._ranges.beta(vector)
        for _ in range(HALVINGS):
            self._ranges.program(self._chip, self._scaled, beta * vector)
            glance = self._chip.sample(1, every=max(1, self._looks.burn))[0][:, : len(vector)]
            if np.abs(glance).max() <= FILL * self._ranges.cell:
                break
            beta /= 2
        else:
            raise too_wide(self._chip)
        mean, error = mean_error(self._average())
        response, spread = mean - self._offset, np.hypot(error, self._offset_error)
        if not (np.abs(response) > ANSWER * spread).any():
            raise ValueError("the cells do not answer to a bias (RLC cells short it); only covariances can be had from them")
        return response * self.alpha / beta, spread * self.alpha / beta, beta

    def _average(self) -> Floats:
        """(looks, planes, n) values."""
        before = self._chip.read_register(CLIPPED)
        x = self._chip.sample(self._looks.count, every=self._looks.every, burn=self._looks.burn)[:, :, : len(self._scaled)]
        self.clipped += self._chip.read_register(CLIPPED) - before
        return x


def inverse(chip: Chip, A: ArrayLike, *, temperature: float = 1.0, looks: Looks | None = None) -> Inverse:
    """A^-1 as the covariance over T of cells with the stiffness matrix A (Aifer et al., arXiv 2308.05660).

    A, looks : as in `solve`; offsets cancel, as the covariance is taken about the mean
    temperature : of the cells; the covariance is divided by what the temperature DAC's code stands for
    ValueError names what is wrong with the arguments, or says that values left the readout range or had not settled.
    """
    ranges, plan = Ranges(chip), looks or Looks(400, 10, 60)
    matrix = ranges.matrix(A)
    n, alpha = len(matrix), ranges.alpha(matrix)
    kt = prepare(chip, temperature)
    ranges.program(chip, alpha * matrix, np.zeros(n))
    before = chip.read_register(CLIPPED)
    x = chip.sample(plan.count, every=plan.every, burn=plan.burn)[:, :, :n]
    clipped = chip.read_register(CLIPPED) - before
    if clipped:
        raise ValueError(f"{clipped} conversions were beyond the readout range; temperature = {temperature} is too high for A")
    times = plan.every * correlation_time(x)
    _require_settled(times, plan)
    covariance, error = covariance_error(x)
    return Inverse(alpha / kt * covariance, alpha / kt * error, times, alpha)


def relaxation(chip: Chip) -> float:
    """Ticks in which a cell of stiffness 1 without couplings forgets (e^-1), mean over cells: -1 / ln(c(2) / c(1)) of the
    autocovariances, where the converters' noise is not.

    ValueError if cells ring: they have no such time.
    """
    ranges = Ranges(chip)
    prepare(chip, 1.0)
    ranges.program(chip, np.eye(ranges.cells), np.zeros(ranges.cells))
    c = autocovariances(chip.sample(400, every=1, burn=60)).mean(axis=1)
    if not 0 < c[2] < c[1]:
        raise ValueError("the cells do not relax (RLC cells ring), so time on this chip cannot be told in relaxation times")
    return float(-1 / np.log(c[2] / c[1]))


def _require_settled(times: Floats, looks: Looks) -> None:
    """ValueError unless burn-in lasted SETTLED of the autocorrelation times (n,), in ticks."""
    least = SETTLED * float(times.max())
    if looks.burn < least:
        raise ValueError(f"burn = {looks.burn} ticks; cell {int(times.argmax())} needs at least {least:.0f} to settle")
