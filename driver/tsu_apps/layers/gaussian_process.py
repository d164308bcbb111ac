"""Gaussian process regression: by numpy, by random features, and by the thermal equilibrium of coupled Gaussian cells.

With K the kernel of n inputs and s^2 the variance of the noise, the posterior has the mean k*^T A^-1 y and the variance
k** - k*^T A^-1 k*, A = K + s^2 I (Rasmussen and Williams, Eq. 2.25). Cells of energy x^T A x / 2 - y^T x have the mean A^-1 y and
the covariance T A^-1, so that one programming gives both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsu_apps.layers.laws import Floats
from tsu_contract.capabilities import LSB_SCALE, RANGE_SCALE
from tsu_driver import Chip

COOL = 0.25
TINY = 1e-300


@dataclass(frozen=True)
class Regression:
    """What is asked.

    K : (n, n) kernel of the inputs; cross : (m, n) of the inputs asked about with them; prior : (m,) of each of those with itself
    y : (n,) observed values; noise : variance of their noise
    """

    K: Floats
    cross: Floats
    prior: Floats
    y: Floats
    noise: float


@dataclass(frozen=True)
class Posterior:
    """(m,) means and variances of the function."""

    mean: Floats
    variance: Floats


def exact(problem: Regression) -> Posterior:
    """By numpy."""
    A = problem.K + problem.noise * np.eye(len(problem.K))
    solved = np.linalg.solve(A, np.column_stack([problem.y, problem.cross.T]))
    variance = problem.prior - (problem.cross * solved[:, 1:].T).sum(axis=1)
    return Posterior(problem.cross @ solved[:, 0], variance)


def of_features(phi: Floats, asked: Floats, y: Floats, noise: float) -> Posterior:
    """By Bayesian linear regression on (n, width) features and (m, width) of the inputs asked about, the kernel being phi . phi /
    width."""
    width = phi.shape[1]
    inverse = np.linalg.inv(phi.T @ phi / noise + width * np.eye(width))
    return Posterior(asked @ (inverse @ (phi.T @ y)) / noise, ((asked @ inverse) * asked).sum(axis=1))


def by_cells(chip: Chip, problem: Regression, looks: int, every: int, passes: int) -> Posterior:
    """By coupled Gaussian cells, one for each input; cells left over are not coupled.

    looks : scans of all enabled planes in each pass, `every` ticks apart after ten times as many
    passes : 1, or more to refine: the cells solve for what A times the solution so far leaves of y, which the host computes. A
        chip whose error of one pass is the share e of the solution leaves e^passes
    ValueError if there are fewer cells than inputs, or no pass.
    """
    n = len(problem.K)
    if n > chip.capabilities.cells:
        raise ValueError(f"{n} inputs need as many cells; {chip.name} has {chip.capabilities.cells}")
    if passes < 1:
        raise ValueError(f"passes = {passes}; at least 1 is expected")
    A = problem.K + problem.noise * np.eye(n)
    solution, rest, inverses = np.zeros(n), problem.y, list[Floats]()
    for _ in range(passes):
        found, inverse = equilibrium(chip, A, rest, looks, every)
        solution = solution + found
        inverses.append(inverse)
        rest = problem.y - A @ solution
    inverse = np.mean(inverses, axis=0)
    variance = problem.prior - ((problem.cross @ inverse) * problem.cross).sum(axis=1)
    return Posterior(problem.cross @ solution, variance)


def equilibrium(chip: Chip, A: Floats, b: Floats, looks: int, every: int) -> tuple[Floats, Floats]:
    """Estimates of A^-1 b, (n,), and of A^-1, (n, n), from the mean and the covariance of coupled Gaussian cells.

    A is scaled down until couplings and stiffnesses fit their DACs, b up or down until biases fit theirs and values max |b| over
    the least eigenvalue half of their range. The cells live at the temperature COOL, where the mean has less noise.
    """
    cap, n = chip.capabilities, len(A)
    coupling = ((1 << cap.coupling_bits - 1) - 1) * cap.coupling_lsb * LSB_SCALE
    bias = ((1 << cap.bias_bits - 1) - 1) * cap.bias_lsb * LSB_SCALE
    off, most = np.abs(A - np.diag(np.diag(A))).max(), np.abs(b).max()
    scale = min(1.0, bias / np.diag(A).max(), coupling / max(off, TINY))
    values = 0.5 * cap.range_cell * RANGE_SCALE * scale * np.linalg.eigvalsh(A)[0]
    up = min(bias, values) / max(most, TINY)
    whole, drive = np.eye(cap.cells), np.zeros(cap.cells)
    whole[:n, :n], drive[:n] = scale * A, up * b
    chip.unclamp()
    chip.program_matrix(whole, drive)
    T = chip.set_temperature(COOL)
    x = chip.sample(looks, every=every, burn=10 * every)[..., :n].reshape(-1, n)
    return x.mean(axis=0) * (scale / up), np.cov(x.T) * (scale / T)


def squared_exponential(X: Floats, Z: Floats, length: float) -> Floats:
    """(n, m) exp(-|x - z|^2 / 2 length^2) of (n, inputs) and (m, inputs)."""
    squares = ((X[:, None] - Z[None]) ** 2).sum(axis=-1)
    kernel: Floats = np.exp(-0.5 * squares / length**2)
    return kernel
