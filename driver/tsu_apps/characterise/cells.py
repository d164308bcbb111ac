"""What single cells and couplers do: slopes and offsets, gains and asymmetries, cells that do not work.

Errors are those of a jackknife over planes, whose lives are independent, so that correlation in time is in them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsu_apps.characterise.lab import Lab
from tsu_apps.characterise.measurement import Measurement, Outcome
from tsu_apps.characterise.points import shown
from tsu_apps.characterise.problems import LOOSE, SPINS, Floats, Problem, biases, colouring, sign_rounds, surroundings
from tsu_apps.characterise.procedure import Procedure
from tsu_apps.characterise.readings import SIGMAS, Planes, jackknife, look, memory, ordinary, rms
from tsu_contract.capabilities import LSB_SCALE
from tsu_driver import Chip

LEVELS = (0.3, 0.6, 0.9)
"""Biases at which slopes are measured, kT."""
FEW_ROUNDS = 16
"""Sign patterns up to which a chip is measured at all LEVELS; beyond, at the middle one."""
LEAK = 0.01
"""Of slopes: what couplers of code 0 let through, and levels that are written anew meanwhile."""
WANDER = 0.015
"""kT that offsets are given for their 1/f noise within seconds, which is .01 kT rms over its band on typical chips."""
LEAST_SLOPE = 0.4
"""Slope below which a cell has a fault, or a coupler to it."""
MOST_COLUMNS = 31
"""Sign patterns of biases, so that there are up to 32 rounds of them."""
PAIRS, PAIR_J = 7, 1.0
"""Pairs whose couplers are measured, and the coupling that they are given, kT."""
DRIVE = 3.0
"""Bias that a cell which works follows, kT."""
MOVED = 0.5
"""Least change of the response of a cell that works; DRIVE changes it by nearly 2."""


def slope_signs(chip: Chip) -> NDArray[np.int64]:
    """(rounds, cells) signs of biases: balanced, and orthogonal between coupled cells, of many colours between most."""
    column = colouring(chip.topology) % MOST_COLUMNS
    return sign_rounds(int(column.max()) + 1)[:, column]


def slope_levels(chip: Chip, rounds: int) -> tuple[float, ...]:
    """Biases, kT, at which each of so many sign patterns is measured; on the grid of the DACs."""
    levels = chip.quantise_biases(LEVELS if rounds <= FEW_ROUNDS else LEVELS[1:2]).codes * (
        chip.capabilities.bias_lsb * LSB_SCALE
    )
    return tuple(levels.tolist())


def slope_estimate(means: Floats, signs: NDArray[np.int64], levels: tuple[float, ...]) -> tuple[Floats, Floats]:
    """(slopes, offsets), (..., cells) each, of cells with means (levels, rounds, ..., cells) under h = signs x level.

    signs : (rounds, cells). atanh <s> = slope (h + offset), from the mean over the rounds with + and over those with -, fitted
    over the levels with weights (1 - <s>^2). A coupled neighbour's bias is + as often as - in both, so that what a coupler of
    code 0 lets through cancels. Both are 0 of cells that do not follow their own bias.
    """
    shape = signs.shape[:1] + (1,) * (means.ndim - 3) + signs.shape[1:]
    ups = (signs > 0).reshape(shape)
    weight, along, level_sum = (np.zeros(means.shape[2:]) for _ in range(3))
    for k, level in enumerate(levels):
        up, down = (2.0 * np.where(mask, means[k], 0.0).mean(axis=0) for mask in (ups, ~ups))
        field_up, field_down = (np.arctanh(np.clip(m, -0.9999, 0.9999)) for m in (up, down))
        w = 1.0 - 0.5 * (up**2 + down**2)
        weight += w * level * level
        along += w * level * 0.5 * (field_up - field_down)
        level_sum += 0.5 * (field_up + field_down) / len(levels)
    slope = along / np.maximum(weight, 1e-12)
    good = slope > LEAST_SLOPE
    return np.where(good, slope, 0.0), np.where(good, level_sum / np.where(good, slope, 1.0), 0.0)


def slope_offset(lab: Lab) -> Outcome:
    """Every cell's response to its own bias, J = 0."""
    chip, (every, burn) = lab.chip, memory(lab)
    signs = slope_signs(chip)
    levels = slope_levels(chip, len(signs))
    if every > 1:
        chip.enable_planes(min(16, chip.capabilities.planes))
    planes = len(chip.enabled_planes)
    runs = len(levels) * len(signs)
    n = max(8, lab.samples(120_000 if every == 1 else 20_000) // (planes * runs))
    sums = np.empty((len(levels), len(signs), planes, chip.capabilities.cells))
    for k, level in enumerate(levels):
        for r, row in enumerate(signs):
            chip.program_couplings(LOOSE, level * row)
            sums[k, r] = look(lab, n, every, max(burn // 8, 2), 1.0 / runs).mean(axis=0)

    def estimate(some: Planes) -> Floats:
        return np.concatenate(slope_estimate(sums[:, :, some].mean(axis=2, keepdims=True), signs, levels))

    (slope, offset), (slopes, offsets) = jackknife(planes, estimate)
    cells = np.flatnonzero(estimate(np.arange(planes))[0] > 0)
    cells = cells[ordinary(offsets[cells])]
    odd = np.setdiff1d(np.arange(len(slope)), cells).tolist()
    slope, offset, slopes, offsets = slope[cells], offset[cells], slopes[cells], offsets[cells]
    measurements = [
        Measurement.of("slopes of cells", "cell.slope", slope, slopes, "", SIGMAS * rms(slopes) + LEAK, cells, "cell"),
        Measurement.of("offsets of cells", "cell.offset", offset, offsets, "kT", SIGMAS * rms(offsets) + WANDER, cells, "cell"),
    ]
    notes = f"{n * planes * runs:,} samples of each cell; biases of {', '.join(f'{v:.3g}' for v in levels)} kT"
    return shown(measurements, notes=notes + (f"; left out, for they do not follow: {odd}" if odd else ""))


# Couplers


def coupler_pairs(chip: Chip) -> NDArray[np.int64]:
    """(m, 2) pairs without a common cell, up to PAIRS of them, drawn at random."""
    chosen: list[list[int]] = []
    used: set[int] = set()
    for pair in np.random.default_rng(3).permutation(chip.topology.pairs)[: 64 * PAIRS].tolist():
        if used.isdisjoint(pair) and len(chosen) < PAIRS:
            chosen.append(pair)
            used.update(pair)
    return np.array(chosen, np.int64).reshape(-1, 2)


def pair_coupling(chip: Chip) -> float:
    """PAIR_J on the grid of the DACs, kT."""
    return float(chip.quantise_couplings(PAIR_J).codes) * chip.capabilities.coupling_lsb * LSB_SCALE


def coupler_problem(chip: Chip, pairs: NDArray[np.int64], signs: NDArray[np.int64], side: int) -> Problem:
    """PAIR_J on the pairs; cells of one side clamped to signs (pairs,), cells of no pair to random spins."""
    clamps = surroundings(chip, 4, tuple(pairs.ravel().tolist()))
    clamps |= dict(zip(pairs[:, side].tolist(), signs.tolist(), strict=True))
    return Problem(biases(chip), (pairs, np.full(len(pairs), PAIR_J)), tuple(pairs.ravel().tolist()), clamps)


def coupler_estimate(means: Floats, signs: NDArray[np.int64]) -> Floats:
    """(..., pairs) change of atanh <s> from a neighbour at -1 to one at +1, halved: J in the driven cell's slope and temperature.

    means : (rounds, ..., pairs) of driven cells; signs : (rounds, pairs) of their neighbours
    """
    ups = (signs > 0).reshape(signs.shape[:1] + (1,) * (means.ndim - 2) + signs.shape[1:])
    up, down = (np.arctanh(np.clip(2.0 * np.where(m, means, 0.0).mean(axis=0), -0.9999, 0.9999)) for m in (ups, ~ups))
    return np.asarray(0.5 * (up - down))


def coupler_gain(lab: Lab) -> Outcome:
    """What each cell of some pairs hears of the other, as a share of the coupling that was programmed; and the asymmetry."""
    chip, (every, burn), pairs = lab.chip, memory(lab), coupler_pairs(lab.chip)
    rounds = sign_rounds(len(pairs))
    planes, gain, programmed = chip.capabilities.planes, [], pair_coupling(chip)
    n = max(4, lab.samples(60_000 if every == 1 else 40_000) // (planes * len(rounds)))
    for side in (1, 0):
        means = np.empty((len(rounds), planes, len(pairs)))
        for r, signs in enumerate(rounds):
            coupler_problem(chip, pairs, signs, side).put(chip)
            means[r] = look(lab, n, every, burn // 2, 0.5 / len(rounds))[..., pairs[:, 1 - side]].mean(axis=0)

        def estimate(some: Planes, means: Floats = means) -> Floats:
            return coupler_estimate(means[:, some].mean(axis=1), rounds) / programmed

        gain.append(jackknife(planes, estimate))
    values, errors = (np.stack([g[k] for g in gain], axis=1) for k in (0, 1))
    usual = rms(errors)
    difference = 0.5 * (values[:, 0] - values[:, 1])
    measurements = [
        Measurement.of(
            "gain of couplers, there and back", "coupler.gain", values, errors, "", SIGMAS * usual + 0.005,
            np.arange(values.size), "coupler",
        ),
        Measurement.of(
            "asymmetry of pairs, half the difference of their gains", "coupler.asymmetry", difference,
            0.5 * np.hypot(errors[:, 0], errors[:, 1]), "", SIGMAS * usual / np.sqrt(2) + 0.002, np.arange(len(pairs)), "pair",
        ),
    ]  # fmt: skip
    return shown(measurements, notes="pairs " + ", ".join(f"{i}-{j}" for i, j in pairs.tolist()))


# Cells that do not work


def fault_problems(chip: Chip) -> tuple[Problem, Problem]:
    """All cells driven down, and up: spins by their bias, pdits to their first and last state."""
    if chip.kind == "pdit":
        return Problem(biases(chip, h0=DRIVE)), Problem(biases(chip, **{chip.terms[-1]: DRIVE}))
    return Problem(biases(chip, h=-DRIVE)), Problem(biases(chip, h=DRIVE))


def fault_of(down: Floats, up: Floats) -> NDArray[np.int64]:
    """(cells,) 0 works, 1 stuck down, 2 stuck up, 3 hears nothing, from responses in -1 .. 1 to both drives."""
    middle = 0.5 * (down + up)
    return np.where(up - down > MOVED, 0, np.where(middle < -0.9, 1, np.where(middle > 0.9, 2, 3)))


def stuck_cells(lab: Lab) -> Outcome:
    """Cells that never move, or do not follow their bias."""
    chip, (every, burn), response = lab.chip, memory(lab), []
    for problem in fault_problems(chip):
        problem.put(chip)
        seen = look(lab, max(20, lab.samples(40)), every, burn, 0.5)
        last = chip.capabilities.states - 1
        followed = (seen == last).astype(np.float64) - (seen == 0) if chip.kind == "pdit" else seen.astype(np.float64)
        response.append(followed.mean(axis=(0, 1)))
    fault = fault_of(*response)
    names = {1: "stuck down", 2: "stuck up", 3: "hears nothing"}
    found = [f"cell {i}: {names[int(fault[i])]}" for i in np.flatnonzero(fault)]
    what = "faults of cells: 1 stuck down, 2 stuck up, 3 deaf"
    measurement = Measurement.of(what, "cell.fault", fault, 0.0, "", 0.0, np.arange(len(fault)), "cell")
    return Outcome([measurement], notes="; ".join(found) or "none found")


PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        "slope-offset", "Slopes and offsets",
        "All biases at +-.3, .6, .9 kT in sign patterns that are balanced between coupled cells, J = 0; atanh <s> = slope (h + "
        "offset). 5 standard errors (jackknife over planes); and .01 for couplers of code 0, .015 kT for 1/f noise.",
        slope_offset, SPINS,
    ),
    Procedure(
        "coupler-gain", "Gains and asymmetry of couplers",
        "One cell of a pair clamped to -1 and +1, the other read, and the reverse, J = 1 kT; half the change of atanh <s>. 5 "
        "standard errors (jackknife over planes).", coupler_gain, SPINS,
    ),
    Procedure(
        "stuck-cells", "Cells that do not work",
        "All cells driven to both sides by 3 kT, of which a good one follows all but .3 %.", stuck_cells,
        SPINS | {"pdit"},
    ),
)  # fmt: skip
