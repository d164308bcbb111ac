"""A feed-forward network on a chip: inputs clamped, spins averaged over sweeps (arXiv 2511.00746, 2607.00170).

The mean of a p-bit is the tanh of what it hears over T. So hidden cells hear the inputs as tanh units do, and output cells hear
them weakened by eps: where the field is small, tanh is a straight line, and the mean of what fluctuating cells cause is
what their means would cause. On the paper's Ising machine couplings are symmetric and hidden cells hear the outputs too, as
weakly. This chip has couplers for each direction, so that the way back can be left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array

from tsu_apps.feedforward.placement import Embedding, Floats, place, shapes, spins_of
from tsu_contract.capabilities import LSB_SCALE
from tsu_driver import Chip

BURN_PER_LAYER = 2
"""Sweeps a layer before the first look: what was clamped before is forgotten as it passes through the layers."""


@dataclass(frozen=True)
class Work:
    """Multiply-adds for one example.

    chip : of couplers that drive cells which are not clamped, all sweeps, burn-in included
    host : additions of spins to averages; reading and comparing are no arithmetic
    digital : of the same network computed once by digital means
    """

    chip: int
    host: int
    digital: int

    @property
    def host_share(self) -> float:
        """Share of all that is done for an example which the host does."""
        return self.host / (self.host + self.chip)


class FeedForward:
    """A network of tanh units, compiled to couplings and biases of p-bits.

    embedding : where it lies on the chip and what it uses
    """

    def __init__(
        self, chip: Chip, weights: Sequence[ArrayLike], biases: Sequence[ArrayLike], eps: float = 0.2, back: float | None = None
    ) -> None:
        """Layer k computes tanh(eps^k (x W_k + b_k)) of the outputs x of the layer before, k = 0 being the first hidden layer.

        weights : for each layer (units before, units); biases : (units,)
        eps : in 0 .. 1; small is exact, and slow: the mean that tells the classes apart shrinks as eps, noise does not
        back : layer k hears the next with back^(k+1) W^T; None for eps, with which couplings are symmetric as on an
            Ising machine; 0 for a directed network
        ValueError says what does not fit; HostError names a connection for which the chip has no coupler.
        """
        if chip.kind != "pbit":
            raise ValueError(f"a network takes clocked p-bits; the cells of {chip.name} are of the kind {chip.kind}")
        for name, value, least in (("eps", eps, 1e-9), ("back", eps if back is None else back, 0.0)):
            if not least <= value <= 1:
                raise ValueError(f"{name} = {value}; a number in 0 .. 1 is expected" + (", 0 excluded" if least else ""))
        self.chip = chip
        self._weights = [np.array(w, np.float64) for w in weights]
        self._biases = [np.array(b, np.float64) for b in biases]
        self._layers = place(chip, shapes(self._weights, self._biases))
        self._J, self._h = self._fields(eps, eps if back is None else back)
        self._temperature = self._hottest()
        self.embedding = self._deploy()

    def running_means(self, X: ArrayLike, looks: Sequence[int]) -> Floats:
        """(len(looks), n, classes) mean spins of the output cells over so many first sweeps, ascending.

        X : (n, inputs) of -1 and +1; an example to a plane, all planes at once
        ValueError says what is wrong with X or looks.
        """
        counts = np.asarray(looks)
        if counts.ndim != 1 or counts.dtype.kind not in "iu" or not len(counts) or (np.diff(counts, prepend=0) <= 0).any():
            raise ValueError(f"looks = {looks}; ascending counts of sweeps from 1 on are expected")
        inputs = spins_of(X, len(self._layers[0]))
        self._deploy()
        planes = self.chip.capabilities.planes
        self.chip.enable_planes(planes)
        self.chip.unclamp()
        blocks = [inputs[first : first + planes] for first in range(0, len(inputs), planes)]
        return np.concatenate([self._block(block, planes, counts) for block in blocks], axis=1)

    def label_means(self, X: ArrayLike, sweeps: int) -> Floats:
        """(n, classes) mean spins of the output cells over `sweeps`; X as in `running_means`."""
        return np.asarray(self.running_means(X, [sweeps])[0])

    def predict(self, X: ArrayLike, sweeps: int) -> NDArray[np.int64]:
        """(n,) classes, the output cells with the greatest mean spin over `sweeps`; X as in `running_means`."""
        classes: NDArray[np.int64] = self.label_means(X, sweeps).argmax(axis=1)
        return classes

    def work(self, sweeps: int) -> Work:
        """What an example costs that is averaged over so many sweeps."""
        classes = len(self._layers[-1])
        heard = self.embedding.couplers * (sweeps + self._burn)
        return Work(heard, classes * sweeps, sum(w.size + b.size for w, b in zip(self._weights, self._biases, strict=True)))

    @property
    def _burn(self) -> int:
        return BURN_PER_LAYER * len(self._weights)

    def _fields(self, eps: float, back: float) -> tuple[Any, Floats]:
        """Couplings (cells, cells), sparse, and biases (cells,) in kT, for T = 1."""
        rows, columns, values = [], [], []
        h = np.zeros(self.chip.capabilities.cells)
        for k, (w, b) in enumerate(zip(self._weights, self._biases, strict=True)):
            before, after = np.meshgrid(self._layers[k], self._layers[k + 1], indexing="ij")
            ways = [(after, before, eps**k)] + ([(before, after, back**k)] if k else [])
            for target, source, gain in ways:
                rows.append(target.ravel())
                columns.append(source.ravel())
                values.append(gain * w.ravel())
            h[self._layers[k + 1]] = eps**k * b
        J = coo_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(len(h), len(h)))
        return J, h

    def _hottest(self) -> float:
        """Highest temperature at which couplings and biases times it fit their DACs; errors fixed in kT weigh least there."""
        c = self.chip.capabilities
        lsb = c.temp_lsb * LSB_SCALE
        highest = ((1 << c.temp_bits) - 1) * lsb
        for values, bits, step in ((self._J.data, c.coupling_bits, c.coupling_lsb), (self._h, c.bias_bits, c.bias_lsb)):
            most = float(np.abs(values).max())
            if most > 0:
                highest = min(highest, ((1 << bits - 1) - 1) * step * LSB_SCALE / most)
        if highest < lsb:
            raise ValueError(f"the weights are too large: even at the lowest temperature, {lsb:g}, they do not fit the DACs")
        return int(highest / lsb) * lsb

    def _deploy(self) -> Embedding:
        """Program the network."""
        c, T = self.chip.capabilities, self.chip.set_temperature(self._temperature)
        self.chip.plane_temperatures(1.0)
        done = self.chip.program_couplings(T * self._J, T * self._h)
        used = sum(len(layer) for layer in self._layers)
        couplers = int(np.count_nonzero(self._J.data))
        return Embedding(self._layers, used, c.cells, couplers, c.couplers, T, done.residual_rms_lsb)

    def _block(self, inputs: NDArray[np.int8], planes: int, counts: NDArray[np.int64]) -> Floats:
        """(len(counts), n, classes) for at most as many examples as planes; planes left over repeat the first."""
        filled = np.concatenate([inputs, np.repeat(inputs[:1], planes - len(inputs), axis=0)])
        self.chip.clamp(self._layers[0], filled, np.arange(planes))
        self.chip.run(self._burn)
        total, sums = np.zeros((len(inputs), len(self._layers[-1]))), []
        for more in np.diff(counts, prepend=0).tolist():
            total = total + self.chip.sample(more)[:, : len(inputs), self._layers[-1]].sum(axis=0)
            sums.append(total)
        return np.stack(sums) / counts[:, None, None]


def accuracy(means: ArrayLike, y: ArrayLike) -> float:
    """Expected share of right answers where the class of the greatest mean is named, one of them by lot if several share it.

    means : (n, classes); y : (n,) classes. Few looks at spins make many ties.
    """
    seen, classes = np.asarray(means, np.float64), np.asarray(y)
    best = seen >= seen.max(axis=1, keepdims=True) - 1e-9
    return float((best[np.arange(len(classes)), classes] / best.sum(axis=1)).mean())
