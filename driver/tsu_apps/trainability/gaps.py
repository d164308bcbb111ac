"""Exact reproductions on planted machines: gaps that matter to a gradient and gaps that do not, and the errors of windows.

Time is in single-spin steps of Glauber's dynamics, whose chain is reversible.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from tsu_apps.report import Row
from tsu_apps.trainability.planted import Planted, planted
from tsu_apps.trainability.spectra import Chain, effective_gap, glauber, spectrum
from tsu_apps.trainability.statistics import Floats, magnetisation, pair_products

M = 4
"""Cells of either half of the machines: 256 states."""
SEEDS = 3
"""Machines of each kind, of which the median is shown."""
BETAS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
MODES = (1, 2, 3, 4)
SYMMETRY_BREAKING = 0.1
"""Bias of all cells that takes the spin-flip symmetry away, kT."""
ROUNDING = 1e-20
"""What floating point may leave of a share that is 0 by symmetry: (2^-53 over the least gap between modes, 6e-4)^2 is 3e-26."""
CHECK_BETA, CHECK_MODES = 2.0, 2
WINDOWS = (16, 64, 256, 1024, 4096)
"""Of the check by Monte Carlo, in single-spin steps."""
CHAINS = 2000
SIGMAS = 5.0
"""Standard errors that the largest of some dozens of deviations may have."""

Step = Callable[[float], None]


def seen(machine: Planted) -> tuple[Chain, Floats]:
    """(chain of single-spin steps, (S, pairs) f_ij of its states)."""
    chain = glauber(machine.J)
    return chain, pair_products(chain.states, machine.pairs)


@dataclass(frozen=True)
class Gaps:
    """Of all machines, (betas, modes, seeds): gaps and times in single-spin steps; the slowest mode's share of the gradient."""

    gap: Floats
    relevant_gap: Floats
    effective_gap: Floats
    tau_gradient: Floats
    tau_magnetisation: Floats
    slowest_overlap: Floats

    def at(self, values: Floats, beta: float, modes: int) -> float:
        """Median over seeds."""
        return float(np.median(values[BETAS.index(beta), MODES.index(modes)]))


def gaps(step: Step) -> Gaps:
    """Every machine's spectrum; step is called with shares that make 1."""
    found = np.empty((6, len(BETAS), len(MODES), SEEDS))
    for at in np.ndindex(found.shape[1:]):
        b, k, seed = at
        chain, f = seen(planted(M, MODES[k], seed, BETAS[b]))
        modes = spectrum(chain, f)
        found[(slice(None), *at)] = (
            modes.gap, modes.relevant_gap, effective_gap(modes.tau), modes.tau, chain.tau(magnetisation(chain.states)),
            modes.overlaps[0],
        )  # fmt: skip
        step(1 / found[0].size)
    return Gaps(*found)


def gap_rows(g: Gaps) -> list[Row]:
    """What multimodality, symmetry and the wrong observable do."""
    one, two = (g.at(g.effective_gap, 3.0, modes) for modes in (1, 2))
    flat = [g.at(g.effective_gap, 0.5, modes) for modes in (1, 2)]
    machine = planted(M, CHECK_MODES, 0, CHECK_BETA)
    broken = glauber(machine.J, np.full(2 * M, SYMMETRY_BREAKING))
    visible = float(spectrum(broken, pair_products(broken.states, machine.pairs)).overlaps[0])
    mistimed = [g.at(g.tau_magnetisation / g.tau_gradient, beta, 1) for beta in (2.0, 3.0)]
    return [
        Row.at_least("effective gap of 1 mode over that of 2, beta 3", one / two, 50),
        Row.at_most("effective gap of 1 mode over that of 2, beta .5, where there are no valleys yet", flat[0] / flat[1], 1.3),
        Row.at_most("gradient's share of the slowest mode, spin-flip symmetry, largest median",
                    float(np.median(g.slowest_overlap, axis=-1).max()), ROUNDING),
        Row.at_least(f"gradient's share of the slowest mode, power: biases of {SYMMETRY_BREAKING:g} kT", visible, 1e-3),
        Row.at_least("tau of the magnetisation over tau of the gradient, 1 mode, beta 2", mistimed[0], 40),
        Row.at_least("tau of the magnetisation over tau of the gradient, 1 mode, beta 3", mistimed[1], 2000),
    ]  # fmt: skip


@dataclass(frozen=True)
class Check:
    """MSE of window means of the machine of CHECK_BETA and CHECK_MODES, (windows,): by Monte Carlo, its standard error, by the
    formula, and by C(0) tau / K, which holds for long windows alone."""

    sampled: Floats
    error: Floats
    exact: Floats
    asymptotic: Floats


def check(step: Step) -> Check:
    """Chains from equilibrium, sampled spin by spin without the matrix, beside the formula."""
    machine = planted(M, CHECK_MODES, 0, CHECK_BETA)
    chain, f = seen(machine)
    modes = spectrum(chain, f)
    squares = _sampled_squares(machine, chain, chain.mean(f), step)
    error = squares.std(axis=1, ddof=1) / np.sqrt(CHAINS)
    asymptotic = modes.variance * modes.tau / np.array(WINDOWS)
    return Check(squares.mean(axis=1), error, modes.mse(WINDOWS), asymptotic)


def check_rows(c: Check) -> list[Row]:
    """Whether the formula holds, and that another would be refused."""
    off = np.abs(c.sampled - c.exact) / c.error
    refused = float((np.abs(c.sampled - c.asymptotic) / c.error)[1])
    return [
        Row.at_most("MSE of windows by Monte Carlo, deviation from the formula, largest", float(off.max()), SIGMAS, "s.e."),
        Row.at_least(f"MSE of windows by Monte Carlo, power: from C(0) tau / K at K = {WINDOWS[1]}", refused, SIGMAS, "s.e."),
    ]


def _sampled_squares(machine: Planted, chain: Chain, mean: Floats, step: Step) -> Floats:
    """(windows, CHAINS) |g-hat - g|^2 of the first K steps of each chain."""
    rng = np.random.default_rng(0)
    s = chain.states[rng.choice(len(chain.law), CHAINS, p=chain.law)].astype(np.int8)
    row, total, out = np.arange(CHAINS), np.zeros((CHAINS, len(mean))), []
    for k in range(1, WINDOWS[-1] + 1):
        total += pair_products(s, machine.pairs)
        if k in WINDOWS:
            out.append(np.square(total / k - mean).sum(axis=1))
        cell: NDArray[np.int64] = rng.integers(2 * M, size=CHAINS)
        field = (machine.J[cell] * s).sum(axis=1)
        s[row, cell] = np.where(rng.random(CHAINS) < expit(2 * field), 1, -1)
        step(1 / WINDOWS[-1])
    return np.array(out)
