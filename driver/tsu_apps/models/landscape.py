"""The landscape a machine has learnt: local minima, true and spurious basins, and what builds and wears them down."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_apps.models.boltzmann import Boltzmann, Floats, Ints, Spins, cell_numbers, checked_spins
from tsu_apps.models.colouring import checked_colours
from tsu_apps.models.gibbs import classes

TIE_KT = 1e-9
"""A spin whose field is weaker than this against it stays: it lowers the energy by nothing but rounding."""


@dataclass(frozen=True, eq=False)
class Census:
    """The basins that samples lie in.

    attractors : (k, n) spins of the distinct local minima, the most frequent first
    counts : (k,) samples in the basin of each
    nearest : (k,) the target that each is nearest to over the visible cells
    distances : (k,) its Hamming distance in cells
    true : (k,) bool, whether that is near enough
    coverage : fraction of the targets that have a true attractor
    """

    attractors: Spins
    counts: Ints
    nearest: Ints
    distances: Ints
    true: NDArray[np.bool_]
    coverage: float

    @property
    def true_attractors(self) -> int:
        """Attractors that belong to a target."""
        return int(self.true.sum())

    @property
    def spurious_attractors(self) -> int:
        """Attractors that belong to none."""
        return len(self.true) - self.true_attractors

    @property
    def spurious_ratio(self) -> float:
        """Spurious attractors to true ones; infinite where none is true."""
        return self.spurious_attractors / self.true_attractors if self.true_attractors else np.inf

    @property
    def true_share(self) -> float:
        """Fraction of the samples that lie in basins of true attractors."""
        return float(self.counts[self.true].sum() / self.counts.sum())


@dataclass(frozen=True, eq=False)
class Balance:
    """What moves weights under Continuous Thermodynamic Descent, dw/dt = eta+ <s s>_data - eta- <s s>_free - lambda w.

    deposition, erosion, weathering : (m,) the three parts, each with its sign in the sum, kT per tick
    """

    deposition: Floats
    erosion: Floats
    weathering: Floats

    @property
    def net(self) -> Floats:
        """(m,) net rates of change, kT per tick; 0 where the landscape stands still."""
        out: Floats = self.deposition + self.erosion + self.weathering
        return out

    @property
    def rms(self) -> dict[str, float]:
        """Root-mean-squares of "deposition", "erosion", "weathering" and "net", kT per tick."""
        parts = {"deposition": self.deposition, "erosion": self.erosion, "weathering": self.weathering, "net": self.net}
        return {name: float(np.sqrt(np.mean(values**2))) for name, values in parts.items()}


@dataclass(frozen=True, eq=False)
class Survival:
    """Whether a basin is deepened (Eq. 6 of the paper on Continuous Thermodynamic Descent).

    margins : (m,) by how much deposition exceeds erosion and weathering, in the direction of the pattern, kT per tick
    """

    margins: Floats

    @property
    def survives(self) -> NDArray[np.bool_]:
        """(m,) whether the margin is positive."""
        return self.margins > 0

    @property
    def fraction(self) -> float:
        """Fraction of the pairs with a positive margin."""
        return float(self.survives.mean())


def quench(model: Boltzmann, spins: ArrayLike, *, colours: ArrayLike | None = None) -> Spins:
    """Local minima that (chains, n) spins fall into at T = 0, single-flip stable.

    Colour by colour every spin turns to its field, until none does. Cells of a colour are not coupled, so every turn lowers
    the energy; a spin without a field stays.
    colours : (n,); None for those of the model
    """
    colour = model.colours if colours is None else checked_colours(colours, model.pairs, model.cells)
    groups = classes(colour, np.empty(0, np.int64))
    pieces = [(group, model.couplings[:, group], model.biases[group]) for group in groups]
    state = checked_spins(spins, (-1, model.cells), "spins").astype(np.float64)
    moving = np.arange(len(state))
    while len(moving):
        s = state[moving]
        changed = np.zeros(len(moving), bool)
        for group, couplings, biases in pieces:
            turned = s[:, group] * (s @ couplings + biases) < -TIE_KT
            s[:, group] = np.where(turned, -s[:, group], s[:, group])
            changed |= turned.any(axis=1)
        state[moving] = s
        moving = moving[changed]
    return state.astype(np.int8)


def census(
    model: Boltzmann,
    samples: ArrayLike,
    targets: ArrayLike,
    visible: ArrayLike,
    *,
    distance: int = 0,
    colours: ArrayLike | None = None,
) -> Census:
    """Quench copies of samples and sort the attractors into true and spurious ones.

    samples : (k, n) spins of all cells
    targets : (targets, v) patterns of the visible cells
    visible : (v,) cell numbers
    distance : an attractor is true if its visible cells differ from a target in at most so many
    """
    cells = cell_numbers(visible, model.cells, "visible")
    patterns = checked_spins(targets, (-1, len(cells)), "targets")
    if not 0 <= distance < len(cells):
        raise ValueError(f"distance = {distance}; 0 .. {len(cells) - 1} cells are possible")
    minima, counts = np.unique(quench(model, samples, colours=colours), axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    minima, counts = minima[order], counts[order]
    overlap = minima[:, cells].astype(np.float64) @ patterns.T.astype(np.float64)
    distances = ((len(cells) - overlap) / 2).astype(np.int64)
    least, covered = distances.min(axis=1), (distances.min(axis=0) <= distance).mean()
    return Census(minima, counts, distances.argmin(axis=1), least, least <= distance, float(covered))


def balance(eta_plus: float, eta_minus: float, decay: float, c_data: ArrayLike, c_free: ArrayLike, weights: ArrayLike) -> Balance:
    """Deposition, erosion and weathering of every weight (or bias).

    eta_plus, eta_minus : rates, kT per tick; decay : lambda, per tick
    c_data, c_free : (m,) averages of s_i s_j (of biases, of s_i) in the clamped and in the free planes
    weights : (m,) kT
    """
    data, free, w = (np.asarray(values, np.float64) for values in (c_data, c_free, weights))
    if not data.shape == free.shape == w.shape or data.ndim != 1 or not len(data):
        shapes = f"{data.shape}, {free.shape}, {w.shape}"
        raise ValueError(f"c_data, c_free and weights have shapes {shapes}; (m,) is expected of each")
    return Balance(eta_plus * data, -eta_minus * free, -decay * w)


def basin_survival(
    eta_plus: float,
    eta_minus: float,
    decay: float,
    c_data: ArrayLike,
    c_free: ArrayLike,
    weights: ArrayLike,
    *,
    pattern: ArrayLike | None = None,
) -> Survival:
    """Eq. 6, a basin survives where eta+ <s s>_data > eta- <s s>_free + lambda w, pair by pair.

    Arguments as those of `balance`.
    pattern : (m,) products s_i s_j of the pattern, -1 or +1: a pair on which it disagrees is deepened by a falling weight,
        which turns the inequality round. None for the signs of c_data, the pattern that the data show on average (0 counts as +1)
    """
    parts = balance(eta_plus, eta_minus, decay, c_data, c_free, weights)
    if pattern is None:
        signs = np.where(np.asarray(c_data) < 0, -1, 1)
    else:
        signs = checked_spins(pattern, parts.net.shape, "pattern")
    return Survival(parts.net * signs)


def flip_rate(spins_before: ArrayLike, spins_after: ArrayLike) -> float:
    """Fraction of spins that differ between two looks at the same cells, of equal shape; 0 is a frozen machine."""
    before, after = np.asarray(spins_before), np.asarray(spins_after)
    if before.shape != after.shape or before.size == 0:
        raise ValueError(f"spins_before and spins_after have shapes {before.shape} and {after.shape}; equal ones are expected")
    return float(np.mean(before != after))


def saturation(weights: ArrayLike, low: float, high: float) -> float:
    """Fraction of the weights that lie at an end of the DAC's range low .. high, kT, or beyond."""
    values = np.asarray(weights)
    if not low < high or values.size == 0:
        raise ValueError(f"low = {low}, high = {high}, {values.size} weights; low < high and at least one weight are expected")
    return float(np.mean((values <= low) | (values >= high)))
