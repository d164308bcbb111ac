"""What a chip samples: laws of small pieces, fluxes between their states; with what single cells do (`cells`).

Errors are those of means over planes, whose lives are independent, so that correlation in time is in them; a tolerance is 5 of
the largest of them unless said. A chip with mismatch has couplings J_ij != J_ji and no Boltzmann law: what is measured is to
be compared with the stationary law of the chain that the chip's own parameters make.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_apps.characterise.cells import PROCEDURES as CELLS
from tsu_apps.characterise.lab import Lab
from tsu_apps.characterise.laws import boltzmann, number, potts, tv_bound
from tsu_apps.characterise.measurement import Measurement, Outcome
from tsu_apps.characterise.points import shown
from tsu_apps.characterise.problems import SPINS, Floats, Problem, pairs_within, piece, surroundings
from tsu_apps.characterise.procedure import Procedure
from tsu_apps.characterise.readings import SIGMAS, look, memory, over_planes
from tsu_contract.capabilities import LSB_SCALE
from tsu_driver import Chip

FLUX_J, FLUX_H = 0.6, (0.5, 0.0, -0.25, 0.25)


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
    return Problem(h[:, 0] if h.shape[1] == 1 else h, J, cells, surroundings(chip, 2, cells))


def nominal_law(chip: Chip, problem: Problem) -> Floats:
    """The Boltzmann law of a problem's piece as programmed: what a chip without errors samples."""
    index = {cell: k for k, cell in enumerate(problem.cells)}
    J, (pairs, values) = np.zeros((len(index), len(index))), problem.J
    cap = chip.capabilities
    coded = chip.quantise_couplings(values).codes * (cap.coupling_lsb * LSB_SCALE)
    for (i, j), value in zip(pairs.tolist(), coded.tolist(), strict=True):
        J[index[i], index[j]] = J[index[j], index[i]] = value
    h: Floats = np.asarray(chip.quantise_biases(problem.h[list(problem.cells)]).codes * (cap.bias_lsb * LSB_SCALE), np.float64)
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
    return shown(measurements, notes=f"worth {n_eff:,.0f} independent samples")


# Detailed balance


def flux_problem(chip: Chip) -> Problem:
    """Four cells, a ring if the chip has one, with symmetric couplings and biases that no symmetry hides."""
    cells = piece(chip.topology, 4)
    h = np.zeros(chip.capabilities.cells)
    h[list(cells)] = FLUX_H[: len(cells)]
    pairs = pairs_within(chip.topology, cells)
    return Problem(h, (pairs, np.full(len(pairs), FLUX_J)), cells, surroundings(chip, 5, cells))


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
                    SIGMAS * float(error.max()), np.arange(len(upper[0])), "pair of states",
                )
            )  # fmt: skip
    finally:
        if chip.kind == "pbit":
            chip.set_scan_order("chromatic")
    return shown(measurements, notes="; ".join(notes))


def _net_flux(seen: NDArray[np.int64], count: int) -> tuple[Floats, Floats]:
    """Antisymmetric (states, states) flux from one look to the next and its error; seen (looks, planes)."""
    joint = np.stack([np.bincount(p[:-1] * count + p[1:], minlength=count * count) for p in seen.T]) / (len(seen) - 1)
    square = joint.reshape(-1, count, count)
    return over_planes(square - square.transpose(0, 2, 1))


def _law_about(what: str) -> str:
    return (
        f"{what} on a small piece of the chip, all other cells clamped; frequencies of all states. 5 standard errors of a mean "
        "over planes; total variation within E[TV] + 4 standard deviations of as many independent samples as these are worth."
    )


PROCEDURES: tuple[Procedure, ...] = (
    Procedure("boltzmann", "Law of a few coupled cells", _law_about("A random problem of 6 spins"), law, SPINS),
    Procedure("pdit-law", "Law of a few coupled pdits", _law_about("A random problem of pdits"), law, frozenset({"pdit"})),
    Procedure(
        "detailed-balance", "Detailed balance",
        "Net fluxes between the 16 states of four symmetrically coupled cells; zero in palindromic and random order and in "
        "continuous time, but for the chip's own asymmetry. 5 standard errors.", detailed_balance, SPINS,
    ),
    *CELLS,
)  # fmt: skip
