"""Chains with weights that are annealed from one machine to another (Neal 2001; Salakhutdinov and Murray 2008).

On the way from A to B the energy is (1 - t) E_A + t E_B. The cells of one class, none coupled to another, are summed out in
closed form: with s the spins of the others and f_t(s) the sum of exp(-E_t), the weight of a chain is the product over steps of
f_now(s) / f_before(s). Spins and fields are float32, which moves a log weight by less than 5e-4 nats (tested); sums of log
weights are float64.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from tsu_apps.models.blocks import Layout, Part, Reals, draw, one_thread
from tsu_apps.models.boltzmann import Boltzmann, Floats, Ints, Spins
from tsu_apps.models.exact import log_2cosh
from tsu_apps.models.gibbs import classes


class Annealing:
    """Chains on their way from one machine to the next, all of one graph.

    log_weights : (chains,) whose exponentials have the mean Z of the machine that was reached, given the fixed cells
    """

    def __init__(self, model: Boltzmann, spins: Spins, fixed: Ints, rng: np.random.Generator) -> None:
        """Chains that begin with independent samples of a machine.

        model : its free cells must not be coupled to each other; its pairs are those of all machines to come
        spins : (chains, n); those of free cells are drawn
        fixed : (k,) numbers of the cells that keep their spins; some cell must be free
        """
        self._model, self._rng = model, rng
        groups = sorted(classes(model.colours, fixed), key=len)
        self._layout = Layout(model, groups)
        self._summed = self._layout.classes[-1]
        self._rest = slice(self._layout.fixed.stop, self._summed.start)
        fields, free = model.fields(spins), np.concatenate(groups)
        log_z = -model.energies(spins) + (log_2cosh(fields) - fields * spins)[:, free].sum(axis=1)
        self.log_weights: Floats = log_z
        self._spins = spins[:, self._layout.order].astype(np.float32)
        for target in self._layout.classes:
            draw(self._spins[:, target], fields[:, self._layout.order[target]].astype(np.float32), rng)

    def to(self, target: Boltzmann, times: Floats) -> None:
        """Anneal to another machine.

        times : (steps,) ascending in 0 .. 1, the last 1; each is a reweighting and a sweep
        """
        layout, spins, before = self._layout, self._spins, self._model
        paths = [_Path(*ends) for ends in zip(layout.parts(before, spins), layout.parts(target, spins), strict=True)]
        change = before.with_values(target.weights - before.weights, target.biases - before.biases)
        rest = _Agreement(layout.part(change, self._rest, self._rest, spins))
        self.log_weights += self._fixed_agreement(change)
        with one_thread():
            for earlier, now in pairwise([0.0, *times.tolist()]):
                ends = paths[-1].ends(spins[:, layout.heard[-1]])
                fields, difference = _log_2cosh_change(*ends, earlier, now)
                self.log_weights += difference
                self.log_weights += (now - earlier) * rest.of(spins[:, self._rest])
                draw(spins[:, self._summed], fields, self._rng)
                for path, heard, cells in zip(paths[:-1], layout.heard[:-1], layout.classes[:-1], strict=True):
                    draw(spins[:, cells], path.at(spins[:, heard], now), self._rng)
        self._model = target

    def _fixed_agreement(self, change: Boltzmann) -> Floats:
        """(chains,) minus the energies of the fixed cells among themselves."""
        fixed = self._layout.fixed
        alone = np.zeros_like(self._spins)
        alone[:, self._layout.order[fixed]] = self._spins[:, fixed]
        return -change.energies(alone)


class _Path:
    """Fields of a class on the way from machine A to machine B."""

    def __init__(self, a: Part, b: Part) -> None:
        self._a, self._b, self._loose = a, b, not _any(a)

    def ends(self, spins: Reals) -> tuple[Reals, Reals]:
        """(fields in A: (chains, k), or (k,) where they are the same for all; fields in B: (chains, k)), kT."""
        there: Reals = spins @ self._b.couplings
        there += self._b.biases
        if self._loose:
            return self._a.biases, there
        here: Reals = spins @ self._a.couplings
        here += self._a.biases
        return here, there

    def at(self, spins: Reals, t: float) -> Reals:
        """(chains, k) fields at t, kT."""
        late, early = np.float32(t), np.float32(1 - t)
        couplings = self._b.couplings * late
        if not self._loose:
            couplings = couplings + self._a.couplings * early
        fields: Reals = spins @ couplings
        fields += self._a.biases * early + self._b.biases * late
        return fields


def _log_2cosh_change(a: Reals, b: Reals, earlier: float, now: float) -> tuple[Reals, Reals]:
    """(fields x at `now`, (chains,) sum over cells of log cosh x - log cosh x_earlier), for fields x = a + t (b - a)."""
    b -= a
    x, old = b * np.float32(now), b
    x += a
    old *= np.float32(earlier)
    old += a
    size, old = np.abs(x), np.abs(old, out=old)
    gain = size - old
    # log 2 cosh x = |x| + log(1 + exp(-2 |x|))
    size *= -2
    old *= -2
    np.exp(size, out=size)
    np.exp(old, out=old)
    size += 1
    old += 1
    size /= old
    gain += np.log(size, out=size)
    total: Reals = gain.sum(axis=1)
    return x, total


class _Agreement:
    """sum_i b_i s_i + sum_{i<j} w_ij s_i s_j, minus the energies, within a group of cells."""

    def __init__(self, part: Part) -> None:
        self._part, self._loose = part, not _any(part)

    def of(self, spins: Reals) -> Reals:
        """(chains,) of spins (chains, k)."""
        biases, couplings = self._part.biases, self._part.couplings
        if self._loose and biases.ndim == 1:
            alone: Reals = spins @ biases
            return alone
        fields = np.broadcast_to(biases, spins.shape) if self._loose else biases + (spins @ couplings) / 2
        out: Reals = np.einsum("ij,ij->i", fields, spins)
        return out


def _any(part: Part) -> bool:
    values = part.couplings if isinstance(part.couplings, np.ndarray) else part.couplings.data
    return bool(values.any())
