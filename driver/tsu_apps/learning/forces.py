"""What moves the weights in a tick: deposition, erosion, weathering, and whose basins they deepen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tsu_apps.learning.history import Snapshot
from tsu_apps.learning.loop import Spins
from tsu_apps.learning.masters import Floats
from tsu_apps.models import Boltzmann, balance, basin_survival
from tsu_driver.rules import UpdateRule


class Rates(NamedTuple):
    """eta+ and eta- in kT per tick, lambda per tick, and whether couplings see cells less their means."""

    plus: float
    minus: float
    decay: float
    centred: bool

    @classmethod
    def of(cls, rule: UpdateRule) -> Rates | None:
        """Those of a rule of Continuous Thermodynamic Descent (`UpdateRule.ctd`); None for any other."""
        by_factors = {term.factors: term.rate for term in rule.pair}
        plus, minus, decay = (sign * by_factors.get((name,), 0.0) for name, sign in (("c_data", 1), ("c_free", -1), ("w", -1)))
        for centred in (False, True):
            if rule == UpdateRule.ctd(plus, minus, decay, centred):
                return cls(plus, minus, decay, centred)
        return None


@dataclass(frozen=True)
class Forces:
    """On the couplings, in one tick. NaN where the rule is not of Continuous Thermodynamic Descent, or without targets.

    deposition, erosion, weathering, net : root-mean-squares over the couplings, kT per tick
    surviving_pairs : fraction of the pairs for which Eq. 6 of the paper holds, eta+ <s s>_data > eta- <s s>_free + lambda w in
        the direction of <s s>_data; about one half where a run stands still, for then the net is noise
    deepened : fraction of the targets for which it holds in the sum over all pairs and biases: their energy falls
    """

    deposition: float = np.nan
    erosion: float = np.nan
    weathering: float = np.nan
    net: float = np.nan
    surviving_pairs: float = np.nan
    deepened: float = np.nan


def forces(snapshot: Snapshot, rates: Rates | None, targets: Spins | None) -> Forces:
    """Of a look; targets are (targets, cells) states."""
    if rates is None:
        return Forces()
    eta = rates.plus, rates.minus, rates.decay
    seen, data, free = snapshot.seen, *_averages(snapshot, rates.centred)
    net, rms = (moved := balance(*eta, data, free, snapshot.weights)).net, moved.rms
    survival = basin_survival(*eta, data, free, snapshot.weights)
    deepened = np.nan
    if targets is not None:
        biases = balance(*eta, seen.data_means, seen.free_means, snapshot.biases).net
        change = Boltzmann(snapshot.pairs.astype(np.int64), net, biases).energies(targets)
        deepened = float(np.mean(change < 0))
    return Forces(**rms, surviving_pairs=survival.fraction, deepened=deepened)


def _averages(snapshot: Snapshot, centred: bool) -> tuple[Floats, Floats]:
    """(pairs,) averages of both roles as the rule sees them."""
    seen = snapshot.seen
    if not centred:
        return seen.data_pairs, seen.free_pairs
    i, j = snapshot.pairs.T
    m, free = seen.data_means, seen.free_means
    both = m[i] * m[j]
    return seen.data_pairs - both, seen.free_pairs - m[i] * free[j] - free[i] * m[j] + both
