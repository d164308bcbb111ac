"""Reproductions on the chip: correlation times and the quality of gradients in sweeps, beside the exact chain of a sweep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tsu_apps.report import Row
from tsu_apps.trainability.measure import measure
from tsu_apps.trainability.planted import Planted, planted
from tsu_apps.trainability.spectra import Chain, effective_gap, spectrum, sweep
from tsu_apps.trainability.statistics import Autocorrelation, Floats, magnetisation, pair_products, signal_to_noise
from tsu_driver import Chip

M, SEED = 4, 0
"""Cells of either half of the machines, and which machines: those of the exact reproductions."""
BETAS, MODES = (0.5, 1.0, 1.5, 2.0, 2.5), (1, 2)
LOOKS, BURN = 20_000, 4_000
"""Sweeps recorded in every plane, and before."""
QUALITY_BETA = 2.5
WINDOWS = (1, 4, 16, 64, 256, 1024, 4096)
"""K in sweeps."""
WEAKER = 0.9
"""Couplings of the wrong chain that each comparison has to refuse."""
SIGMAS = 5.0
"""Standard errors that the largest of some dozens of deviations may have."""

Step = Callable[[float], None]


def seen(machine: Planted, share: float = 1.0) -> tuple[Chain, Floats, Floats]:
    """(chain of a chip's whole sweep with the couplings times `share`, its states' (S, pairs) f_ij and (S,) magnetisations)."""
    chain = sweep(share * machine.J, np.repeat([0, 1], M))
    return chain, pair_products(chain.states, machine.pairs), magnetisation(chain.states)


@dataclass(frozen=True)
class Times:
    """tau_int in sweeps of the gradient and of the magnetisation, (2, modes, betas).

    measured, error : on the chip; exact : of the chain; off, wrong : deviations from the chain's sum up to the lag at which the
    measured one ends, in standard errors, for the chain itself and for one with couplings times WEAKER
    """

    measured: Floats
    error: Floats
    exact: Floats
    off: Floats
    wrong: Floats


def times(chip: Chip, step: Step) -> Times:
    """Measure all machines; step is called with shares that make 1."""
    found = np.empty((5, 2, len(MODES), len(BETAS)))
    for k, b in np.ndindex(len(MODES), len(BETAS)):
        machine = planted(M, MODES[k], SEED, BETAS[b])
        measured = measure(chip, machine.J, machine.pairs, looks=LOOKS, burn=BURN)
        chain, *observables = seen(machine)
        other = seen(machine, WEAKER)[0]
        for which, a in enumerate((measured.gradient, measured.magnetisation)):
            f = observables[which]
            deviations = [abs(a.tau - _up_to(a, c, f)) / a.error for c in (chain, other)]
            found[:, which, k, b] = a.tau, a.error, chain.tau(f), *deviations
        step(1 / (len(MODES) * len(BETAS)))
    return Times(*found)


def _up_to(a: Autocorrelation, chain: Chain, f: Floats) -> float:
    """The chain's 1 + 2 sum rho(t) as far as the measured sum goes."""
    return float(1 + 2 * chain.correlations(f, a.window)[1:].sum())


def times_rows(t: Times) -> list[Row]:
    """Whether chip and chain agree, and what the chip says about gaps and magnetisation."""
    cold, colder, both = BETAS.index(2.0), BETAS.index(2.5), (t.measured, t.exact)
    collapse = [effective_gap(tau[0, 0, colder]) / effective_gap(tau[0, 1, colder]) for tau in both]
    wrong = float(t.wrong.max(axis=(1, 2)).min())
    ratio = [float(tau[1, 0, cold] / tau[0, 0, cold]) for tau in both]
    rows = [
        Row.at_most(
            f"tau of the {name} on the chip, deviation from the exact chain, largest", float(t.off[k].max()), SIGMAS, "s.e."
        )
        for k, name in enumerate(("gradient", "magnetisation"))
    ]
    return [
        *rows,
        Row.at_least(f"tau on the chip, power: from a chain of {WEAKER:g} times the couplings", wrong, SIGMAS, "s.e."),
        Row.at_least(f"effective gap of 1 mode over that of 2 on the chip, beta 2.5 (exact {collapse[1]:.1f})", collapse[0], 10),
        Row.at_least(f"tau of magnetisation over gradient on the chip, 1 mode, beta 2 (exact {ratio[1]:.0f})", ratio[0], 40),
    ]  # fmt: skip


@dataclass(frozen=True)
class Quality:
    """Q against K, (modes, windows): measured on the chip, its standard error, of the exact chain; and what three single numbers
    foretell by Q = |g|^2 K / (C(0) tau): the gradient's own tau, that of a single mode of the chain's gap, the magnetisation's.

    off, wrong : deviations of the MSE from the chain and from one with couplings times WEAKER, in standard errors
    """

    measured: Floats
    error: Floats
    exact: Floats
    by_gradient: Floats
    by_gap: Floats
    by_magnetisation: Floats
    off: Floats
    wrong: Floats


def quality(chip: Chip, step: Step) -> Quality:
    """Measure the machines of QUALITY_BETA: the data are their patterns, the free phase is the chip's."""
    found = np.empty((8, len(MODES), len(WINDOWS)))
    for k, modes in enumerate(MODES):
        machine = planted(M, modes, SEED, QUALITY_BETA)
        errors = measure(chip, machine.J, machine.pairs, looks=LOOKS, burn=BURN, windows=WINDOWS).errors
        chain, f, total = seen(machine)
        gradient, variance, slow = machine.data - chain.mean(f), chain.variance(f), 1 - spectrum(chain, f).gap
        single = [signal_to_noise(gradient, variance * tau / np.array(WINDOWS))
                  for tau in (chain.tau(f), (1 + slow) / (1 - slow), chain.tau(total))]  # fmt: skip
        exact = chain.mse(f, WINDOWS)
        other = seen(machine, WEAKER)
        deviations = [np.abs(errors.mse - mse) / errors.error for mse in (exact, other[0].mse(other[1], WINDOWS))]
        found[:, k] = *errors.quality(gradient), signal_to_noise(gradient, exact), *single, *deviations
        step(1 / len(MODES))
    return Quality(*found)


def quality_rows(q: Quality) -> list[Row]:
    """Whether chip and chain agree, and how many sweeps a gradient needs."""
    need = [sweeps_needed(q.measured[k]) for k in range(len(MODES))]
    by = [sweeps_needed(q.by_magnetisation[0]) / need[0], sweeps_needed(q.by_gap[0]) / need[0]]
    off, wrong = float(q.off.max()), float(q.wrong.max(axis=1).min())
    return [
        Row.at_most("MSE on the chip, deviation from the exact chain, largest", off, SIGMAS, "s.e."),
        Row.at_least(f"MSE on the chip, power: from a chain of {WEAKER:g} times the couplings", wrong, SIGMAS, "s.e."),
        *(Row(f"K at which Q = 1 on the chip, {modes} planted mode{'s' * (modes > 1)}, beta {QUALITY_BETA:g}", need[k], "sweeps")
          for k, modes in enumerate(MODES)),
        Row.at_least("K for Q = 1 foretold from the magnetisation's tau, over the measured K, 1 mode", by[0], 40),
        Row.at_least("K for Q = 1 foretold from the chain's gap, over the measured K, 1 mode", by[1], 40),
    ]  # fmt: skip


def sweeps_needed(q: Floats) -> float:
    """K at which Q(K) = 1, (windows,) at WINDOWS, on a line through the last point with Q proportional to K beyond them all."""
    at = int(np.argmax(q >= 1)) if (q >= 1).any() else len(q)
    if at == 0:
        return WINDOWS[0] / float(q[0])
    if at == len(q):
        return WINDOWS[-1] / float(q[-1])
    return float(np.exp(np.interp(0.0, np.log(q[at - 1 : at + 1]), np.log(WINDOWS[at - 1 : at + 1]))))
