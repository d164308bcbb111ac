"""How likely data are under a Boltzmann machine: log-likelihood, pseudo-likelihood, divergence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tsu_apps.models.boltzmann import Boltzmann, Floats, Ints, Spins, cell_numbers, checked_spins
from tsu_apps.models.exact import independent_hidden, log_marginals, log_sum_exp, log_weights, state_numbers
from tsu_apps.models.partition import CHAINS, STEPS, TRUSTED_SAMPLES, LogZ, annealed_log_z, clamped_log_z

MEAN_MAX = 0.98
"""Largest mean of a base cell, so that no pixel that was never seen to change is taken for impossible."""
EXAMPLE_CHAINS, EXAMPLE_STEPS = 20, 100
"""For each example, where hidden cells are coupled to each other."""
EXAMPLE_SAMPLES = 5.0
"""Harmonic mean over the examples of the effective samples of each, below which a likelihood is not trusted."""
CERTAIN = 4.0
"""Standard errors by which the probabilities of distinct examples may add up to more than 1."""
ROUNDING = 1e-6
"""Nats that this sum may be off by rounding where log Z is exact."""
BLOCK = 4096
"""Chains that are annealed at a time for single examples."""


@dataclass(frozen=True, eq=False)
class Likelihood:
    """Log-likelihood of examples.

    nats : (examples,) log P(x) over the visible cells
    mean : nats per example
    standard_error : of `mean`, from the estimates of log Z and of the sums over hidden states; the spread of the examples is
        not in it
    log_z : the estimate of log Z, or its exact value with a standard error of 0
    effective_samples : of the chains that gave log Z; infinite for an exact one
    doubts : reasons not to believe it, in words; none if it is trusted
    """

    nats: Floats
    mean: float
    standard_error: float
    log_z: float
    effective_samples: float
    doubts: tuple[str, ...]

    @property
    def trusted(self) -> bool:
        """Whether there is no reason to doubt it."""
        return not self.doubts

    def __str__(self) -> str:
        text = f"{self.mean:.3f} +- {self.standard_error:.3f} nats"
        return text if self.trusted else f"{text}, NOT TRUSTED: {'; '.join(self.doubts)}"


def log_likelihood(
    model: Boltzmann,
    visible: ArrayLike,
    X: ArrayLike,
    *,
    log_z: LogZ | float | None = None,
    base: ArrayLike | None = None,
    chains: int = CHAINS,
    steps: int = STEPS,
    seed: int = 0,
) -> Likelihood:
    """Log-likelihood of (examples, v) spins of the visible cells, jointly over all of them, the hidden ones summed out.

    visible : (v,) cell numbers, in the order of the columns of X (pixels and labels, say); all cells for a machine without
        hidden ones
    log_z : None estimates it by `annealed_log_z`; a number is taken as exact (`exact_log_z`), an estimate with its error
        (`trajectory_log_z`)
    base : (v,) means that the base of the annealing gives the visible cells; None for those of X
    chains, steps, seed : of the annealing
    The sum over hidden states of exp(-E(x, hidden)) is closed where hidden cells are not coupled to each other (or there are
    none). Elsewhere it is annealed for each example by itself, from the machine whose hidden cells hear the visible ones
    alone; the log of a mean of EXAMPLE_CHAINS weights then lies low by about half of (1 / effective samples - 1 / chains).
    It is not trusted if effective samples are too few, or if distinct examples together are more probable than 1, as happens
    where the annealing missed the modes that they are in.
    """
    cells = cell_numbers(visible, model.cells, "visible")
    examples = checked_spins(X, (-1, len(cells)), "X")
    z = log_z if isinstance(log_z, LogZ) else None if log_z is None else LogZ(float(log_z), 0.0, np.inf, 0)
    if z is None:
        means = examples.mean(axis=0) if base is None else np.asarray(base, np.float64)
        if means.shape != cells.shape or (np.abs(means) > 1).any():
            raise ValueError(f"base must be {len(cells)} means in -1 .. 1, one per visible cell")
        biases = np.zeros(model.cells)
        biases[cells] = np.arctanh(np.clip(means, -MEAN_MAX, MEAN_MAX))
        z = annealed_log_z(model, base=biases, chains=chains, steps=steps, seed=seed)
    doubts = [] if z.trusted else [_few("log Z", z.effective_samples, TRUSTED_SAMPLES, z.chains)]
    if independent_hidden(model, cells):
        sums, error = log_weights(model, cells, examples), 0.0
    else:
        sums, error, samples = _annealed_sums(model, cells, examples, seed)
        if samples < EXAMPLE_SAMPLES:
            doubts.append(_few("the sums over hidden states", samples, EXAMPLE_SAMPLES, EXAMPLE_CHAINS))
    nats = sums - z.value
    total_error = float(np.hypot(error, z.standard_error))
    total = log_sum_exp(nats[np.unique(examples, axis=0, return_index=True)[1]])
    if total > CERTAIN * total_error + ROUNDING:
        doubts.append(f"the examples together have probability exp({total:.2f}): log Z lies too low, a mode was missed")
    return Likelihood(nats, float(nats.mean()), total_error, z.value, z.effective_samples, tuple(doubts))


def pseudo_likelihood(model: Boltzmann, spins: ArrayLike, cells: ArrayLike | None = None) -> float:
    """Mean over examples of sum_i log P(s_i | all others), nats (Besag 1975).

    spins : (examples, n) spins of all cells; hidden ones as they were sampled with the visible ones clamped
    cells : the cells i that are summed over, such as the visible ones; None for all
    """
    s = checked_spins(spins, (-1, model.cells), "spins")
    over = np.arange(model.cells) if cells is None else cell_numbers(cells, model.cells, "cells")
    return float(-np.logaddexp(0.0, -2.0 * (model.fields(s) * s)[:, over]).sum(axis=1).mean())


def kl_to(model: Boltzmann, visible: ArrayLike, patterns: ArrayLike, probabilities: ArrayLike | None = None) -> float:
    """Kullback-Leibler divergence KL(data || model) over the visible cells, nats, exact; `log_marginals` says when that is
    possible.

    visible : (v,) cell numbers
    patterns : (k, v) spins, the support of the data, each pattern once
    probabilities : (k,) of the patterns, summing to 1; None for equal ones
    """
    cells = cell_numbers(visible, model.cells, "visible")
    numbers = state_numbers(checked_spins(patterns, (-1, len(cells)), "patterns"))
    p = np.full(len(numbers), 1 / len(numbers)) if probabilities is None else np.asarray(probabilities, np.float64)
    if p.shape != numbers.shape or not (p >= 0).all() or abs(p.sum() - 1) > 1e-9:
        raise ValueError(f"probabilities must be {len(numbers)} numbers >= 0 that sum to 1, one per pattern")
    if len(np.unique(numbers)) < len(numbers):
        raise ValueError("patterns names a pattern twice; add up its probabilities instead")
    some = p > 0
    return float(p[some] @ (np.log(p[some]) - log_marginals(model, cells)[numbers[some]]))


def _annealed_sums(model: Boltzmann, cells: Ints, examples: Spins, seed: int) -> tuple[Floats, float, float]:
    """((examples,) log sums over hidden states, the standard error of their mean, harmonic mean of their effective samples)."""
    rng = np.random.default_rng([seed, 1])
    at_a_time = BLOCK // EXAMPLE_CHAINS
    blocks = [
        clamped_log_z(model, cells, examples[first : first + at_a_time], EXAMPLE_CHAINS, EXAMPLE_STEPS, rng)
        for first in range(0, len(examples), at_a_time)
    ]
    sums, errors, samples = (np.concatenate(column) for column in zip(*blocks, strict=True))
    return sums, float(np.sqrt((errors**2).sum())) / len(sums), float(1 / (1 / samples).mean())


def _few(what: str, samples: float, least: float, chains: int) -> str:
    return f"{what}: {samples:.1f} effective samples of {chains} chains, at least {least:.0f} are needed"
