"""What analog cells settle to: covariances of Gaussian networks, moments in wells, weights and means of mixtures.

Errors are those of means over planes, whose lives are independent, or of a jackknife over groups of them.
"""

from __future__ import annotations

import numpy as np

from tsu_apps.characterise.lab import Lab
from tsu_apps.characterise.measurement import Measurement, Outcome
from tsu_apps.characterise.points import shown
from tsu_apps.characterise.problems import Problem, biases, relaxing
from tsu_apps.characterise.procedure import Procedure
from tsu_apps.characterise.readings import (
    SIGMAS,
    autocovariances,
    correction,
    jackknife,
    ordinary,
    over_planes,
    pause,
    rings,
    rms,
    values,
)  # fmt: skip
from tsu_driver import Chip

WELL = {"a": -1.0, "b": 1.0}
WEIGHTS, MEANS = (0.0, 0.5, -0.5, 0.25), (-2.5, -0.5, 1.0, 2.5)
"""Of the modes of mixture cells; repeated if there are more."""
EARLY = 12
"""Ticks within which a resonator swings to the other side."""


def network_problem(chip: Chip, symmetric: bool) -> Problem:
    """A random stable stiffness matrix over all cells, a = 1.5, of spectral radius about .5 beside it; asymmetric: all cells hear
    those of higher number well and the others hardly."""
    n = chip.capabilities.cells
    rng, present = np.random.default_rng(6), np.zeros((n, n), bool)
    present[chip.topology.target, chip.topology.source] = True
    J = np.where(present, rng.normal(0, 0.25 / np.sqrt(max(1, present.sum() / n)), (n, n)), 0.0)
    J = (J + J.T) / np.sqrt(2) if symmetric else 1.6 * np.triu(J) + 0.2 * np.tril(J)
    return Problem(biases(chip, a=1.5), J, tuple(range(n)))


def gaussian_covariance(lab: Lab) -> Outcome:
    """Covariance matrices of a symmetric and of an asymmetric network."""
    measurements = []
    n = lab.chip.capabilities.cells
    upper = np.triu_indices(n)
    relaxing(lab.chip).put(lab.chip)
    resonators = rings(autocovariances(values(lab, 64, 1, 40, 0.1), EARLY))
    for symmetric in (True,) if resonators else (True, False):
        network_problem(lab.chip, symmetric).put(lab.chip)
        x = values(lab, lab.samples(400 if n > 32 else 1600), 4, 60, 0.9 if resonators else 0.45)
        d = x - x.mean(axis=(0, 1))
        each = np.einsum("kpi,kpj->pij", d, d) / len(d)
        C, error = over_planes(each)
        word = "symmetric" if symmetric else "asymmetric"
        measurements.append(
            Measurement.of(
                f"covariance of {n} cells, {word} couplings", f"gaussian.covariance.{word}", C[upper], error[upper], "",
                SIGMAS * rms(np.diag(error)) + 0.005 * float(C.max()), np.arange(len(upper[0])), "pair of cells",
            )
        )  # fmt: skip
    return shown(measurements, notes="RLC cells: asymmetric couplings would make them swing up" if resonators else "")


# Wells and mixtures


def well_problem(chip: Chip) -> Problem:
    """A double well in every cell, no couplings."""
    return Problem(biases(chip, **WELL))


def langevin_moments(lab: Lab) -> Outcome:
    """<x^2> and <x^4> in a double well."""
    relaxing(lab.chip).put(lab.chip)
    lab.chip.run(100)
    well_problem(lab.chip).put(lab.chip)
    x = values(lab, lab.samples(1500), 4, 40, 1.0)
    measurements = []
    for power in (2, 4):
        each, error = over_planes((x**power).mean(axis=0))
        mean, mean_error = over_planes((x**power).mean(axis=(0, 2)))
        good = ordinary(error)
        each, error, cells = each[good], error[good], good
        measurements += [
            Measurement.of(f"<x^{power}> of cells", f"langevin.x{power}", each, error, "", SIGMAS * rms(error), cells, "cell"),
            Measurement.of(
                f"<x^{power}>, mean over cells", f"langevin.x{power}.mean", mean, mean_error, "",
                SIGMAS * float(mean_error) + 0.003 * float(mean),
            ),
        ]  # fmt: skip
    return shown(measurements, notes="V = -x^2/2 + x^4/4 at T = 1")


def mixture_problem(chip: Chip) -> Problem:
    """Modes of unequal weights, their means well apart."""
    modes = chip.capabilities.states
    terms = {f"w{k}": WEIGHTS[k % len(WEIGHTS)] for k in range(modes)} | {f"m{k}": MEANS[k % len(MEANS)] for k in range(modes)}
    return Problem(biases(chip, **terms))


def mixture(lab: Lab) -> Outcome:
    """How often cells are in each mode, and where they are then: values and modes read without a tick in between."""
    chip = lab.chip
    mixture_problem(chip).put(chip)
    modes, looks = chip.capabilities.states, lab.samples(400)
    correct, cells = correction(chip), chip.capabilities.cells
    count, total = np.zeros((2, chip.capabilities.planes, cells, modes))
    chip.run(100)
    for k in range(looks):
        if k % 16 == 0:
            pause(chip)
        chip.run(20)
        x, mode = correct(chip.read()), chip.read_states()
        here = mode[..., None] == np.arange(modes)
        count += here
        total += here * x[..., None]
        lab.step(1 / looks)
    p, p_error = over_planes(count / looks)
    m, m_error = jackknife(
        len(count), lambda planes: np.asarray(total[planes].sum(axis=0) / np.maximum(count[planes].sum(axis=0), 1))
    )
    return shown([
        Measurement.of("weights of the modes of each cell", "mixture.weights", p, p_error, "", SIGMAS * rms(p_error)),
        Measurement.of("mean of each mode of each cell", "mixture.means", m, m_error, "", (SIGMAS + 1) * rms(m_error)),
    ])  # fmt: skip


PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        "gaussian-covariance", "Covariance of Gaussian networks",
        "A random symmetric and a random asymmetric network over all cells. 5 standard errors of a variance and half a "
        "percent for the converters.", gaussian_covariance, frozenset({"gaussian"}), adc=True,
    ),
    Procedure(
        "langevin-moments", "Moments in a double well",
        "a = -1, b = 1, T = 1. 5 standard errors, and .3 % for the converters in the mean over cells.", langevin_moments,
        frozenset({"langevin"}), adc=True,
    ),
    Procedure(
        "mixture", "Weights and means of mixtures", "Values and modes of all cells at the same moments. 5 to 6 standard errors.",
        mixture, frozenset({"mixture"}), adc=True,
    ),
)  # fmt: skip
