"""The same on a chip, through the driver: correlation times, errors of windows, pilot runs for a ladder.

A machine lies in the first cells of the chip; the others are without couplings. Every enabled plane is a chain of its own, whose
life is independent of the others'. The chip's couplings are what its DACs make of the nearest codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_apps.trainability.statistics import (
    Autocorrelation,
    Floats,
    WindowErrors,
    autocorrelation,
    magnetisation,
    pair_products,
    window_errors,
)
from tsu_apps.trainability.tempering import energies
from tsu_contract.capabilities import LSB_SCALE
from tsu_driver import Chip

STRETCHES = 16
"""Into which a plane's record of energies is cut."""


def deploy(chip: Chip, J: ArrayLike, h: ArrayLike | None = None) -> tuple[Floats, Floats]:
    """Program a machine into cells 0 .. n-1; returns (J, h) as the codes stand for them, (n, n) and (n,).

    J : (n, n) symmetric, h : (n,), kT at T = 1; h None for 0
    ValueError if it does not fit: too many cells, or values beyond the DACs' range. HostError names a missing coupler.
    """
    couplings, cap = np.asarray(J, np.float64), chip.capabilities
    n = len(couplings)
    biases = np.zeros(n) if h is None else np.asarray(h, np.float64)
    if n > cap.cells:
        raise ValueError(f"the machine has {n} cells, the chip {cap.cells}")
    codes = chip.quantise_couplings(couplings), chip.quantise_biases(biases)
    lsb = np.float64(cap.coupling_lsb * LSB_SCALE), np.float64(cap.bias_lsb * LSB_SCALE)
    for what, bits, unit, q in zip(("coupling", "bias"), (cap.coupling_bits, cap.bias_bits), lsb, codes, strict=True):
        if q.clipped:
            top = ((1 << bits - 1) - 1) * unit
            raise ValueError(f"{q.clipped} {what} values are beyond the chip's {top:g} kT; the machine must be weaker")
    more = cap.cells - n
    chip.unclamp()
    chip.program_couplings(np.pad(couplings, (0, more)), np.pad(biases, (0, more)))
    return codes[0].codes * lsb[0], codes[1].codes * lsb[1]


@dataclass(frozen=True)
class Measured:
    """What a chip's samples of a machine show, in sweeps.

    gradient : autocorrelation of all f_ij together; magnetisation : of sum s_i
    errors : of K-window means of the f_ij
    """

    gradient: Autocorrelation
    magnetisation: Autocorrelation
    errors: WindowErrors


def measure(
    chip: Chip,
    J: ArrayLike,
    pairs: ArrayLike,
    *,
    looks: int,
    burn: int,
    windows: Sequence[int] = (1,),
    h: ArrayLike | None = None,
) -> Measured:
    """Run a machine in the enabled planes, one look a sweep.

    J, h : as in `deploy`; pairs : (pairs, 2) cells whose f_ij = s_i s_j are the gradient's observables
    looks : sweeps that are recorded, after `burn` others; windows : K
    """
    n = len(deploy(chip, J, h)[1])
    spins = chip.sample(looks, burn=burn)[..., :n]
    products = pair_products(spins, pairs)
    return Measured(autocorrelation(products), autocorrelation(magnetisation(spins)), window_errors(products, windows))


@dataclass(frozen=True)
class Pilot:
    """Energies at several temperatures, as a chip has them, in kT at T = 1.

    betas : (n,) rising, those that the planes' multipliers could be set to
    variances : (n,) of E; errors : (n,) standard errors, by the scatter of stretches of the planes' records or by that of
        the planes, whichever is greater: planes that are stuck in valleys scatter more
    energies : (looks, planes of a beta, n)
    """

    betas: Floats
    variances: Floats
    errors: Floats
    energies: Floats


def pilot(chip: Chip, J: ArrayLike, betas: ArrayLike, *, looks: int, burn: int, h: ArrayLike | None = None) -> Pilot:
    """Var E for the length of a ladder, all temperatures at once: each gets as many planes as there are for it.

    J, h : as in `deploy`; betas : (n,) rising, above 0, at most as many as half the chip's planes
    looks : sweeps recorded, at least STRETCHES, each stretch longer than what energies remember; burn : sweeps before
    Cold planes may stay in the valleys in which they begin; the variance is then the mean over these valleys.
    Afterwards all planes are enabled, at T = 1.
    """
    beta, total = np.asarray(betas, np.float64), chip.capabilities.planes
    if beta.ndim != 1 or not len(beta) or not (np.diff(beta) > 0).all() or not beta[0] > 0:
        raise ValueError(f"betas {beta.tolist()}; rising numbers above 0 are expected")
    each = total // len(beta)
    if each < 2:
        raise ValueError(f"{len(beta)} betas; the chip's {total} planes give two or more to {total // 2} of them")
    if looks < STRETCHES:
        raise ValueError(f"looks = {looks}; at least {STRETCHES} are needed to tell how uncertain a variance is")
    couplings, biases = deploy(chip, J, h)
    used = np.arange(each * len(beta))
    chip.set_temperature(1.0)
    chip.enable_planes(used)
    multipliers = np.ones(total)
    multipliers[used] = np.tile(1 / beta, each)
    known = 1 / chip.plane_temperatures(multipliers)[: len(beta)]
    spins: NDArray[np.int8] = chip.sample(looks, burn=burn)[..., : len(biases)]
    chip.plane_temperatures(1.0)
    chip.enable_planes(total)
    energy = energies(spins, couplings, biases).reshape(looks, each, len(beta))
    squares = (energy - energy.mean(axis=(0, 1))) ** 2
    stretch = looks // STRETCHES
    parts = squares[: stretch * STRETCHES].reshape(STRETCHES, stretch, -1, len(beta)).mean(axis=1).reshape(-1, len(beta))
    scatter = [kind.std(axis=0, ddof=1) / np.sqrt(len(kind)) for kind in (parts, squares.mean(axis=0))]
    return Pilot(known, squares.mean(axis=(0, 1)), np.maximum(*scatter), energy)
