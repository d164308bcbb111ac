"""What a chip samples: laws of small pieces, slopes and offsets of cells, gains of couplers, fluxes, cells that do not work.

Errors are those of means over planes, whose lives are independent, so that correlation in time is in them; a tolerance is 5 of
the largest of them unless said. A chip with mismatch has couplings J_ij != J_ji and no Boltzmann law: what is measured is to
be compared with the stationary law of the chain that the chip's own parameters make.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_apps.characterise.lab import Lab
from tsu_apps.characterise.laws import boltzmann, number, potts, tv_bound
from tsu_apps.characterise.measurement import Measurement, Outcome, Procedure
from tsu_apps.characterise.problems import (
    LOOSE,
    Floats,
    Problem,
    biases,
    colouring,
    look,
    memory,
    ordinary,
    over_planes,
    pairs_within,
    piece,
    rms,
    sign_rounds,
)
from tsu_contract.capabilities import LSB_SCALE
from tsu_driver import Chip

SPINS = frozenset({"pbit", "async-pbit"})
DISCRETE = SPINS | {"pdit"}
SIGMAS = 5.0
LEVELS = (0.3, 0.6, 0.9)
"""Biases at which slopes are measured, kT."""
FEW_ROUNDS = 16
"""Sign patterns up to which a chip is measured at all LEVELS; beyond, at the middle one."""
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
FLUX_J, FLUX_H = 0.6, (0.5, 0.0, -0.25, 0.25)


def alive(chip: Chip, seed: int, inside: tuple[int, ...]) -> dict[int, int]:
    """Clamps of all cells but those inside: random spins, or state 0 of pdits."""
    rest = np.setdiff1d(np.arange(chip.capabilities.cells), inside)
    signs = np.random.default_rng(seed).choice([-1, 1], len(rest))
    return dict(zip(rest.tolist(), np.zeros(len(rest), int).tolist() if chip.kind == "pdit" else signs.tolist(), strict=True))


# Laws


def law_problem(chip: Chip) -> Problem:
    """A random symmetric problem on 6 spins, or as many pdits as have up to 100 configurations; all other cells are clamped."""
    k = chip.capabilities.states if chip.kind == "pdit" else 2
    n = 6 if k == 2 else max(2, int(np.log(100) / np.log(k)))
    cells, rng = piece(chip.topology, n), np.random.default_rng(1)
    pairs = pairs_within(chip.topology, cells)
    h = np.zeros((chip.capabilities.cells, chip.capabilities.terms))
    h[list(cells)] = rng.normal(0, 0.3, (len(cells), h.shape[1]))
    J = pairs, rng.normal(0, 0.5, len(pairs))
    return Problem(h[:, 0] if h.shape[1] == 1 else h, J, cells, alive(chip, 2, cells))


def nominal_law(chip: Chip, problem: Problem) -> Floats:
    """The Boltzmann law of a problem's piece as programmed: what a chip without errors samples."""
    index = {cell: k for k, cell in enumerate(problem.cells)}
    J, (pairs, values) = np.zeros((len(index), len(index))), problem.J
    cap = chip.capabilities
    coded = chip.quantise_couplings(values).codes * (cap.coupling_lsb * LSB_SCALE)
    for (i, j), value in zip(pairs.tolist(), coded.tolist(), strict=True):
        J[index[i], index[j]] = J[index[j], index[i]] = value
    h = chip.quantise_biases(problem.h[list(problem.cells)]).codes * (cap.bias_lsb * LSB_SCALE)
    return potts(J, h, 1.0, {}) if chip.kind == "pdit" else boltzmann(J, h, 1.0, {})


def numbers(chip: Chip, samples: NDArray[Any]) -> NDArray[np.int64]:
    """State numbers of samples (..., cells) of a piece, as `laws` counts them."""
    if chip.kind == "pdit":
        return samples.astype(np.int64) @ chip.capabilities.states ** np.arange(samples.shape[-1])
    return number(samples)


def law(lab: Lab) -> Outcome:
    """Frequencies of all states of a small piece."""
    chip, problem, (every, burn) = lab.chip, law_problem(lab.chip), memory(lab)
    problem.put(chip)
    seen = numbers(chip, look(lab, lab.samples(2000 if every == 1 else 800), 2 * every, burn, 1.0)[..., list(problem.cells)])
    ideal = nominal_law(chip, problem)
    counts = np.stack([np.bincount(plane, minlength=len(ideal)) for plane in seen.T]) / len(seen)
    p, error = over_planes(counts)
    n_eff = float((p * (1 - p)).sum() / max(float((error**2).sum()), 1e-30))
    distance = 0.5 * float(np.abs(p - ideal).sum())
    what = f"of cells {', '.join(map(str, problem.cells))}"
    measurements = [
        Measurement.of(
            f"probabilities of the states {what}", "law.probabilities", p, error, "", SIGMAS * float(error.max()),
            np.arange(len(p)), "number of the state",
        ),
        Measurement.of(
            f"total variation from the Boltzmann law {what} as programmed", "law.tv", distance, 0.5 / np.sqrt(n_eff), "",
            tv_bound(p, n_eff),
        ),
    ]  # fmt: skip
    return Outcome(measurements, notes=f"worth {n_eff:,.0f} independent samples")


# Slopes and offsets


def slope_signs(chip: Chip) -> NDArray[np.int64]:
    """(rounds, cells) signs of biases: balanced, and orthogonal between coupled cells, or, on chips of many colours, most of them."""
    column = colouring(chip.topology) % MOST_COLUMNS
    return sign_rounds(int(column.max()) + 1)[:, column]


def slope_levels(chip: Chip, rounds: int) -> tuple[float, ...]:
    """Biases, kT, at which each of so many sign patterns is measured; on the grid of the DACs."""
    levels = chip.quantise_biases(LEVELS if rounds <= FEW_ROUNDS else LEVELS[1:2]).codes * (chip.capabilities.bias_lsb * LSB_SCALE)
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
    slope, offset = slope_estimate(sums.mean(axis=2, keepdims=True), signs, levels)
    slopes, offsets = _jackknifed(sums, signs, levels)
    cells = np.arange(chip.capabilities.cells)
    good = np.flatnonzero(slope[0] > 0)
    good = good[ordinary(offsets[good])]
    odd = np.setdiff1d(cells, good).tolist()
    slope, offset, slopes, offsets, cells = slope[0, good], offset[0, good], slopes[good], offsets[good], cells[good]
    measurements = [
        Measurement.of("slopes of cells", "cell.slope", slope, slopes, "", SIGMAS * rms(slopes) + 0.005, cells, "cell"),
        Measurement.of("offsets of cells", "cell.offset", offset, offsets, "kT", SIGMAS * rms(offsets) + WANDER, cells, "cell"),
    ]
    notes = f"{n * planes * runs:,} samples of each cell; biases of {', '.join(f'{v:.3g}' for v in levels)} kT"
    return Outcome(measurements, notes=notes + (f"; left out, for they do not follow: {odd}" if odd else ""))


def _jackknifed(sums: Floats, signs: NDArray[np.int64], levels: tuple[float, ...]) -> tuple[Floats, Floats]:
    """Standard errors (cells,) of slopes and offsets, by leaving out one group of planes after the other."""
    planes = sums.shape[2]
    groups = np.array_split(np.arange(planes), min(16, planes))
    left = [slope_estimate(np.delete(sums, g, axis=2).mean(axis=2, keepdims=True), signs, levels) for g in groups]
    slopes, offsets = (np.std([pair[k][0] for pair in left], axis=0) * np.sqrt(len(groups) - 1) for k in (0, 1))
    return slopes, offsets


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
    clamps = alive(chip, 4, tuple(pairs.ravel().tolist()))
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
        whole = coupler_estimate(means.mean(axis=1), rounds)
        groups = np.array_split(np.arange(planes), min(16, planes))
        left = [coupler_estimate(np.delete(means, g, axis=1).mean(axis=1), rounds) for g in groups]
        gain.append((whole / programmed, np.std(left, axis=0) * np.sqrt(len(groups) - 1) / programmed))
    values, errors = (np.stack([g[k] for g in gain], axis=1) for k in (0, 1))
    usual = rms(errors)
    difference = 0.5 * (values[:, 0] - values[:, 1])
    measurements = [
        Measurement.of(
            "gain of couplers, there and back", "coupler.gain", values, errors, "", SIGMAS * usual + 0.005,
        ),
        Measurement.of(
            "asymmetry of pairs, half the difference of their gains", "coupler.asymmetry", difference,
            0.5 * np.hypot(errors[:, 0], errors[:, 1]), "", SIGMAS * usual / np.sqrt(2) + 0.002, np.arange(len(pairs)), "pair",
        ),
    ]  # fmt: skip
    return Outcome(measurements, notes="pairs " + ", ".join(f"{i}-{j}" for i, j in pairs.tolist()))


# Detailed balance


def flux_problem(chip: Chip) -> Problem:
    """Four cells, a ring if the chip has one, with symmetric couplings and biases that no symmetry hides."""
    cells = piece(chip.topology, 4)
    h = np.zeros(chip.capabilities.cells)
    h[list(cells)] = FLUX_H[: len(cells)]
    pairs = pairs_within(chip.topology, cells)
    return Problem(h, (pairs, np.full(len(pairs), FLUX_J)), cells, alive(chip, 5, cells))


def flux_orders(chip: Chip) -> dict[str, int]:
    """Scan orders of a chip, and sweeps from one look to the next."""
    return {"asynchronous": 1} if chip.kind == "async-pbit" else {"chromatic": 1, "palindromic": 2, "random": 1}


def detailed_balance(lab: Lab) -> Outcome:
    """Net fluxes between all pairs of states of four cells from one look to the next, in each scan order."""
    chip, problem, orders = lab.chip, flux_problem(lab.chip), flux_orders(lab.chip)
    problem.put(chip)
    measurements, notes = [], []
    try:
        for order, every in orders.items():
            if order != "asynchronous":
                chip.set_scan_order(order)
            chip.run(60 + chip.read_register("FABRIC.SWEEP") % 2)
            seen = number(look(lab, lab.samples(1500), every, 0, 1 / len(orders))[..., list(problem.cells)])
            net, error = _net_flux(seen, 1 << len(problem.cells))
            upper = np.triu_indices(len(net), 1)
            most = float((np.abs(net) / np.maximum(error, 1e-12))[error > 0].max(initial=0.0))
            notes.append(f"{order}: up to {most:.1f} standard errors from balance")
            measurements.append(
                Measurement.of(
                    f"net flux between pairs of states, {order}", f"flux.{order}", net[upper], error[upper], "per look",
                    SIGMAS * float(error.max()),
                )
            )  # fmt: skip
    finally:
        if chip.kind == "pbit":
            chip.set_scan_order("chromatic")
    return Outcome(measurements, notes="; ".join(notes))


def _net_flux(seen: NDArray[np.int64], count: int) -> tuple[Floats, Floats]:
    """Antisymmetric (states, states) flux from one look to the next and its error; seen (looks, planes)."""
    joint = np.stack([np.bincount(p[:-1] * count + p[1:], minlength=count * count) for p in seen.T]) / (len(seen) - 1)
    square = joint.reshape(-1, count, count)
    return over_planes(square - square.transpose(0, 2, 1))


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
        shown = (seen == last).astype(np.float64) - (seen == 0) if chip.kind == "pdit" else seen.astype(np.float64)
        response.append(shown.mean(axis=(0, 1)))
    fault = fault_of(*response)
    names = {1: "stuck down", 2: "stuck up", 3: "hears nothing"}
    found = [f"cell {i}: {names[int(fault[i])]}" for i in np.flatnonzero(fault)]
    what = "faults of cells: 1 stuck down, 2 stuck up, 3 deaf"
    measurement = Measurement.of(what, "cell.fault", fault, 0.0, "", 0.0, np.arange(len(fault)), "cell")
    return Outcome([measurement], notes="; ".join(found) or "none found")


def _law_about(what: str) -> str:
    return (
        f"{what} on a small piece of the chip, all other cells clamped; frequencies of all states. 5 standard errors of a mean "
        "over planes; total variation within E[TV] + 4 standard deviations of as many independent samples as these are worth."
    )


PROCEDURES: tuple[Procedure, ...] = (
    Procedure("boltzmann", "Law of a few coupled cells", _law_about("A random problem of 6 spins"), law, SPINS),
    Procedure("pdit-law", "Law of a few coupled pdits", _law_about("A random problem of pdits"), law, frozenset({"pdit"})),
    Procedure(
        "slope-offset", "Slopes and offsets",
        "All biases at +-.3, .6, .9 kT in sign patterns that are balanced between coupled cells, J = 0; atanh <s> = slope (h + "
        "offset). 5 standard errors (jackknife over planes); and .005 for what passes couplers of code 0, .015 kT for 1/f noise.", slope_offset, SPINS,
    ),
    Procedure(
        "coupler-gain", "Gains and asymmetry of couplers",
        "One cell of a pair clamped to -1 and +1, the other read, and the reverse, J = 1 kT; half the change of atanh <s>. 5 "
        "standard errors (jackknife over planes).", coupler_gain, SPINS,
    ),
    Procedure(
        "detailed-balance", "Detailed balance",
        "Net fluxes between the 16 states of four symmetrically coupled cells; zero in palindromic and random order and in "
        "continuous time, but for the chip's own asymmetry. 5 standard errors.", detailed_balance, SPINS,
    ),
    Procedure(
        "stuck-cells", "Cells that do not work",
        "All cells driven to both sides by 3 kT, of which a good one follows all but .3 %.", stuck_cells, DISCRETE,
    ),
)  # fmt: skip
