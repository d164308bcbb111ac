"""Diagnostics of a run of training: a watcher that looks at the landscape, at what moves it, and at the averages that tell it.

>>> diagnostics = Diagnostics(model.layout, targets=X, distance=6)
>>> model.fit(X, y, watch=[diagnostics])
>>> diagnostics.flags
()
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_apps.learning.averages import Quality, Recent
from tsu_apps.learning.basins import Basins, Surveyor
from tsu_apps.learning.examples import Layout
from tsu_apps.learning.flags import Flag, check, raised
from tsu_apps.learning.forces import Forces, Rates, forces
from tsu_apps.learning.history import Moment, Snapshot
from tsu_apps.learning.loop import Spins
from tsu_apps.learning.masters import Floats
from tsu_apps.learning.modes import Sparsity, modes, sparsity
from tsu_apps.models import Boltzmann, Census, log_likelihood, pseudo_likelihood
from tsu_apps.models.blocks import one_thread
from tsu_apps.models.boltzmann import checked_spins


@dataclass(frozen=True)
class Nats:
    """How likely data are under the programmed codes at T, nats. NaN where it was not measured.

    pseudo : pseudo-likelihood of the data planes, over the clamped cells
    mean, standard_error : log-likelihood of the examples, by annealing
    effective_samples : of its chains
    doubts : reasons not to believe it
    """

    pseudo: float = np.nan
    mean: float = np.nan
    standard_error: float = np.nan
    effective_samples: float = np.nan
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """What diagnostics made of one look.

    moment : the run's own numbers, energies, saturation and flips among them
    shares : (k,) `Modes.shares` of the free planes; empty without examples, NaN of a single plane
    sparsity : of the couplings' masters
    flags : reasons by the names of the flags that are up
    """

    moment: Moment
    basins: Basins
    forces: Forces
    averages: Quality
    nats: Nats
    shares: Floats
    sparsity: Sparsity
    flags: dict[str, str] = field(default_factory=dict)

    @property
    def tick(self) -> int:
        """Ticks done."""
        return self.moment.tick


class Diagnostics:
    """A watcher of training. It touches neither chip nor random numbers: a run is the same with it and without.

    layout : which cells hold what
    readings : one a look
    census : of the last look; None without targets
    modes : of the examples; None without examples
    last : the last look
    A look takes about 10 ms of the host on 174 cells with 32 free planes (measured), without likelihoods.

    Energies, basins and likelihoods are those of the programmed codes as they nominally are: on a chip with static errors they
    say what the host believes, and the flags that come from averages and flips say what the chip does.
    """

    def __init__(
        self,
        layout: Layout,
        targets: ArrayLike | None = None,
        *,
        distance: int = 0,
        examples: ArrayLike | None = None,
        likelihood_every: int = 0,
    ) -> None:
        """ValueError says which argument is wrong, and what is right.

        layout : that of the estimator, `model.layout`
        targets : (targets, pixels) spins: patterns, class prototypes (`prototypes`) or examples, whose basins are the true ones
        distance : in pixels, up to which an attractor belongs to a target
        examples : (n, pixels) or (n, pixels and labels) spins, `layout.examples(X, y)`, for modes and likelihoods
        likelihood_every : looks from one annealed log-likelihood of the examples to the next, the last look's included; 0 for
            none. Each takes the time of `tsu_apps.models.log_likelihood`: 1 s on 174 cells.
        """
        if likelihood_every < 0 or (likelihood_every and examples is None):
            raise ValueError(
                f"likelihood_every = {likelihood_every}; 0, or at least 1 with examples to measure it on, is expected"
            )
        if not 0 <= distance < len(layout.visible):
            raise ValueError(f"distance = {distance}; 0 .. {len(layout.visible) - 1} pixels are possible")
        self.layout, self._every = layout, likelihood_every
        patterns = None if targets is None else checked_spins(targets, (-1, len(layout.visible)), "targets")
        self._surveyor = Surveyor(patterns, layout.visible, distance)
        self._examples = None if examples is None else _examples(layout, examples)
        self.modes = None if self._examples is None else modes(self._examples[:, : len(layout.visible)])
        self._recent = Recent()
        self.readings: list[Reading] = []
        self.census: Census | None = None
        self.last: Snapshot | None = None

    @property
    def flags(self) -> tuple[Flag, ...]:
        """Flags that were ever up, in the order in which they were first seen."""
        return raised(self.readings)

    def __call__(self, snapshot: Snapshot) -> None:
        """Take a reading."""
        data, free = snapshot.seen.data_spins, snapshot.seen.free_spins
        assert data is not None
        assert free is not None
        with one_thread():
            model = Boltzmann(snapshot.pairs.astype(np.int64), snapshot.programmed_weights, snapshot.programmed_biases)
            rates, targets = Rates.of(snapshot.rule), self._surveyor.targets_in(model)
            basins, self.census = self._surveyor.survey(model, free, targets)
            self._recent.add(snapshot)
            reading = Reading(
                moment=snapshot.moment,
                basins=basins,
                forces=forces(snapshot, rates, targets),
                averages=self._recent.quality(rates, snapshot.moment.temperature, 2 * len(snapshot.pairs) / model.cells),
                nats=self._nats(model.at_temperature(snapshot.moment.temperature), data, snapshot.moment),
                shares=self._shares(free),
                sparsity=sparsity(snapshot.weights, snapshot.coupling_lsb),
            )
        self.readings.append(replace(reading, flags=check(reading)))
        self.last = snapshot

    def _nats(self, machine: Boltzmann, data: Spins, moment: Moment) -> Nats:
        pseudo = pseudo_likelihood(machine, data, self.layout.clamped) if len(data) else np.nan
        looks = len(self.readings) + 1
        if self._examples is None or not self._every or (looks % self._every and moment.tick < moment.ticks):
            return Nats(pseudo)
        cells = self.layout.clamped[: self._examples.shape[1]]
        found = log_likelihood(machine, cells, self._examples)
        return Nats(pseudo, found.mean, found.standard_error, found.effective_samples, found.doubts)

    def _shares(self, free: Spins) -> Floats:
        if self.modes is None:
            return np.empty(0)
        if len(free) < 2:
            return np.full(len(self.modes.variances), np.nan)
        return self.modes.shares(free[:, self.layout.visible])


def prototypes(X: ArrayLike, y: ArrayLike) -> Spins:
    """(classes, pixels) the majority spin of each pixel over the examples of a class; +1 for a draw.

    X : (n, pixels) spins; y : (n,) classes
    """
    spins, classes = checked_spins(X, (-1, np.shape(X)[-1]), "X"), np.asarray(y)
    if classes.shape != (len(spins),):
        raise ValueError(f"y has shape {classes.shape}; ({len(spins)},) is expected, one class for each example")
    means = np.stack([spins[classes == k].mean(axis=0) for k in np.unique(classes)])
    return np.where(means < 0, -1, 1).astype(np.int8)


def _examples(layout: Layout, examples: ArrayLike) -> NDArray[np.int8]:
    """(n, pixels) or (n, clamped cells) spins."""
    shape = np.shape(examples)
    known = (len(layout.visible), len(layout.clamped))
    if len(shape) != 2 or shape[1] not in known:
        raise ValueError(f"examples has shape {shape}; (n, {known[0]}) or (n, {known[1]}) is expected")
    return checked_spins(examples, (-1, shape[1]), "examples")
