"""Thermodynamic natural gradient: cells with the Fisher matrix as stiffness under the gradient as bias, for a while.

From x(0) the mean of the cells goes as x(t) = A^-1 g + e^(-A t) (x(0) - A^-1 g), with A the damped Fisher matrix: from 0 that is
t g for short times, gradient descent, and A^-1 g for long ones, natural gradient descent (Donatella et al., arXiv 2405.13817).
Where the last x is kept as x(0), it works as a momentum.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from tsu_apps.linear.averages import Floats
from tsu_apps.linear.ranges import FILL, HALVINGS, Ranges, prepare, too_wide
from tsu_driver import Chip

ROOM = 2.0
"""Times its last greatest value that x may be at the next step before it is tried anew on a smaller scale."""


def relaxed(matrix: Floats, gradient: Floats, start: Floats, time: float) -> Floats:
    """(n,) x(t) exactly, from `start`; matrix (n, n) symmetric positive definite; time may be infinite."""
    values, vectors = np.linalg.eigh(matrix)
    end = vectors @ (vectors.T @ gradient / values)
    return np.asarray(end + vectors @ (np.exp(-values * time) * (vectors.T @ (start - end))))


class NaturalGradient:
    """Directions of descent from a chip of Gaussian cells.

    x : (n,) direction that was given last, the state that is kept; None before the first
    """

    def __init__(
        self, chip: Chip, time: float, damping: float, relaxation: float, *, keep: bool = True, temperature: float = 1 / 16
    ) -> None:
        """Of all enabled planes.

        time : analog time t, in units of 1 / (unit of the Fisher matrix); e.g. 100 is long for eigenvalues of .1
        damping : added to the Fisher matrix's diagonal
        relaxation : ticks in which a cell of stiffness 1 forgets, `tsu_apps.linear.relaxation`
        keep : whether x begins where the last direction was; else at 0
        temperature : of the cells; noise is averaged over planes
        ValueError names a parameter that is out of range.
        """
        for name, value in (("time", time), ("damping", damping), ("relaxation", relaxation)):
            if not (0 < value < math.inf):
                raise ValueError(f"{name} = {value}; a positive number is expected")
        self._chip, self._ranges = chip, Ranges(chip)
        self._time, self._damping, self._relaxation, self._keep = time, damping, relaxation, keep
        self._temperature = temperature
        self.x: Floats | None = None

    def direction(self, fisher: ArrayLike, gradient: ArrayLike) -> Floats:
        """(n,) x(t) for the Fisher matrix (n, n) and the gradient (n,).

        The chip runs twice, with g and x(0) and with -g and -x(0); half the difference is free of offsets.
        ValueError says what is wrong with shapes or values; HostError if the damped matrix is not positive definite.
        """
        matrix = self._ranges.matrix(fisher)
        matrix += self._damping * np.eye(len(matrix))
        g = self._ranges.vector(gradient, len(matrix), "the gradient")
        start = self.x if self._keep and self.x is not None else np.zeros_like(g)
        if len(start) != len(g):
            raise ValueError(f"the gradient has {len(g)} parameters; the direction that was kept has {len(start)}")
        if not g.any() and not start.any():
            return start
        prepare(self._chip, self._temperature)
        self.x = self._fitting(matrix, g, start)
        return self.x

    def _fitting(self, matrix: Floats, g: Floats, start: Floats) -> Floats:
        """x(t) on the greatest scale at which biases fit their DACs and cells their range."""
        alpha, ticks = self._clock(matrix)
        reach = FILL * self._ranges.cell
        limits = [self._ranges.beta(g) / alpha] if g.any() else []
        if start.any():
            limits.append(reach / (ROOM * float(np.abs(start).max())))
        scale = min(limits)
        for _ in range(HALVINGS):
            end = self._run(alpha * matrix, alpha * scale * g, scale * start, ticks)
            back = self._run(alpha * matrix, -alpha * scale * g, -scale * start, ticks)
            if max(np.abs(end).max(), np.abs(back).max()) <= reach:
                return np.asarray((end - back).mean(axis=0) / (2 * scale))
            scale /= 2
        raise too_wide(self._chip)

    def _clock(self, matrix: Floats) -> tuple[float, int]:
        """(alpha, ticks) with alpha ticks / relaxation = t exactly, alpha as great as the DACs allow."""
        ticks = math.ceil(self._time * self._relaxation / self._ranges.alpha(matrix))
        return self._time * self._relaxation / ticks, ticks

    def _run(self, matrix: Floats, bias: Floats, start: Floats, ticks: int) -> Floats:
        """(planes, n) values after so many ticks from `start`."""
        chip, cells = self._chip, np.arange(self._ranges.cells)
        self._ranges.program(chip, matrix, bias)
        chip.clamp(cells, np.concatenate([start, np.zeros(len(cells) - len(start))]))
        chip.run(1)
        chip.unclamp()
        return np.asarray(chip.sample(1, every=ticks)[0][:, : len(bias)])
