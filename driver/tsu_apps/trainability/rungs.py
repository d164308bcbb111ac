"""Reproductions with ladders: a machine trained on bars and stripes, three ways to place rungs, and a pilot run on a chip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsu_apps.report import Row
from tsu_apps.trainability import bars
from tsu_apps.trainability.exchange import Exchange, exchange
from tsu_apps.trainability.measure import deploy, pilot
from tsu_apps.trainability.tempering import (
    Acceptance,
    Floats,
    Ladder,
    equal_length_ladder,
    ladder,
    measured_acceptance,
    sampled_acceptance,
    thermodynamic_length,
)
from tsu_driver import Chip

SIDE, HIDDEN = 4, 16
RUNGS, HOT = 4, 0.25
"""Rungs of a ladder, and beta of the hottest."""
GRID = np.linspace(HOT, 1.0, 31)
SWEEPS, LADDERS, SINGLES, SEED = 5000, 8, 64, 1
"""Sweeps of a run; ladders of a kind, and single chains, that run at once."""
PILOT_BETAS, PILOT_LOOKS, PILOT_BURN = 16, 10_000, 1000

Step = Callable[[float], None]


@dataclass(frozen=True)
class Run:
    """A ladder and what became of it.

    switches : (ladders,) changes between rows and columns of the coldest rung; seen : (sweeps, ladders) orientations
    """

    ladder: Ladder
    acceptance: Acceptance
    round_trips: NDArray[np.int64]
    switches: NDArray[np.int64]
    seen: NDArray[np.int8]


@dataclass(frozen=True)
class Ladders:
    """The machine, sqrt(Var E) over GRID, ladders by name, and single chains.

    W : (pixels, hidden) couplings; single : (sweeps, SINGLES) orientations; single_switches : (SINGLES,)
    """

    W: Floats
    root: Floats
    runs: dict[str, Run]
    single: NDArray[np.int8]
    single_switches: NDArray[np.int64]


def ladders(W: Floats, step: Step) -> Ladders:
    """Run three kinds of ladder, and single chains, on the host; step is called with shares that make 1."""
    variance = bars.energy_moments(W, GRID)[1]
    kinds = {
        "uniform in beta": ladder(np.linspace(1.0, HOT, RUNGS), GRID, variance),
        "geometric": ladder(np.geomspace(1.0, HOT, RUNGS), GRID, variance),
        "equal length": equal_length_ladder(RUNGS, GRID, variance),
    }
    part = 1 / (len(kinds) + 1)
    runs = {}
    for name, rungs in kinds.items():
        done = _exchange(W, rungs.betas, LADDERS, lambda share: step(part * share))
        seen = bars.orientation(done.cold[..., : len(W)])
        acceptance = measured_acceptance(done.accepted, done.attempted)
        runs[name] = Run(rungs, acceptance, done.round_trips, bars.switches(seen), seen)
    single = bars.orientation(_exchange(W, np.ones(1), SINGLES, lambda share: step(part * share)).cold[..., : len(W)])
    return Ladders(W, np.sqrt(variance), runs, single, bars.switches(single))


def _exchange(W: Floats, betas: Floats, number: int, step: Step) -> Exchange:
    J, colours = bars.machine(W)
    return exchange(J, np.zeros(len(J)), colours, betas, SWEEPS, ladders=number, seed=SEED, progress=step)


def ladder_rows(found: Ladders) -> list[Row]:
    """What even rungs, uneven ones and none are worth."""
    equal, uniform = (found.runs[name] for name in ("equal length", "uniform in beta"))
    off = np.abs(equal.acceptance.rate - equal.ladder.predicted).max()
    crossed = float(equal.switches.mean())
    trips = equal.round_trips.mean() / uniform.round_trips.mean()
    rows = [Row.at_most("KL(bars and stripes || machine), nats", bars.divergence(found.W), 0.05)]
    for name, run in found.runs.items():
        rate = run.acceptance.rate
        rows += [
            Row(f"acceptance of rungs {name}, least", float(rate.min())),
            Row(f"acceptance of rungs {name}, greatest", float(rate.max())),
            _counted(f"round trips of a ladder, rungs {name}", run.round_trips),
            _counted(f"row-column switches of the cold rung, rungs {name}", run.switches),
        ]  # fmt: skip
    return [
        *rows,
        Row.at_most("acceptance of rungs equal length, greatest less least", float(np.ptp(equal.acceptance.rate)), 0.18),
        Row.at_least("acceptance of rungs uniform in beta, greatest less least", float(np.ptp(uniform.acceptance.rate)), 0.5),
        Row.at_most("acceptance of rungs equal length, off erfc(L / 2) by at most", float(off), 0.15),
        Row.at_least("round trips of rungs equal length over those uniform in beta", float(trips), 1.3),
        Row.at_most(f"row-column switches of a single chain in {SWEEPS:,} sweeps, mean of {SINGLES}",
                    float(found.single_switches.mean()), 0.5, spread=float(found.single_switches.std(ddof=1))),
        Row.at_least(f"row-column switches of a ladder of equal length in {SWEEPS:,} sweeps", crossed, 200),
    ]  # fmt: skip


def _counted(name: str, counts: NDArray[np.int64]) -> Row:
    return Row(name, float(counts.mean()), "", float(counts.std(ddof=1)))


@dataclass(frozen=True)
class Pilots:
    """Pilot runs on the chip.

    betas, root, error, exact : (n,) sqrt(Var E) measured, its standard error, and exact for the couplings as programmed
    ladder : that follows; foretold : its acceptance from energies of independent planes; acceptance : of a host's exchange
    """

    betas: Floats
    root: Floats
    error: Floats
    exact: Floats
    ladder: Ladder
    foretold: Floats
    acceptance: Acceptance


def pilots(chip: Chip, W: Floats, step: Step) -> Pilots:
    """A ladder from the chip alone; the chip has couplers between SIDE^2 cells and HIDDEN others."""
    J, _ = bars.machine(W)
    run = pilot(chip, J, np.linspace(HOT, 1.0, PILOT_BETAS), looks=PILOT_LOOKS, burn=PILOT_BURN)
    rungs = equal_length_ladder(RUNGS, run.betas, run.variances)
    second = pilot(chip, J, rungs.betas[::-1], looks=PILOT_LOOKS, burn=PILOT_BURN)
    programmed = deploy(chip, J)[0][: len(W), len(W) :]
    foretold = sampled_acceptance(second.energies[..., ::-1], second.betas[::-1])
    step(0.5)
    done = _exchange(programmed, second.betas[::-1], LADDERS, lambda share: step(share / 2))
    root = np.sqrt(run.variances)
    exact = np.sqrt(bars.energy_moments(programmed, run.betas)[1])
    acceptance = measured_acceptance(done.accepted, done.attempted)
    return Pilots(run.betas, root, run.errors / (2 * root), exact, rungs, foretold, acceptance)


def pilot_rows(p: Pilots) -> list[Row]:
    """Whether a pilot run tells where the rungs belong."""
    length, exact = (thermodynamic_length(p.betas, root**2)[-1] for root in (p.root, p.exact))
    off = np.abs(p.foretold - p.acceptance.rate).max()
    spread = np.abs(p.root / p.exact - 1).max()
    return [
        Row.at_most("sqrt(Var E) of the pilot run, relative deviation from the exact value, largest", float(spread), 0.15),
        Row.at_most("thermodynamic length from the pilot run, off by", abs(length / exact - 1), 0.02),
        Row.at_most("acceptance foretold from independent planes, off by at most", float(off), 0.05),
        Row.at_most("greatest less least acceptance of the pilot run's ladder", float(np.ptp(p.acceptance.rate)), 0.18),
    ]  # fmt: skip
