"""Equilibrium propagation: what a nudge of the outputs does to the correlations of all other cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_apps.learning.base import ChipEstimator
from tsu_apps.learning.examples import Layout
from tsu_apps.learning.masters import Codes
from tsu_apps.learning.phases import DATA, FREE, PhaseLoop
from tsu_driver import Batch
from tsu_driver.rules import UpdateRule


@dataclass(eq=False, repr=False)
class EqProp(ChipEstimator):
    """A classifier trained by equilibrium propagation (Scellier & Bengio 2017) in its sampled form.

    Pixels are pinned. Free phase: hidden and label cells sample from exp(-E). Nudged phase: from exp(-E - beta C) with the
    cost C = 1/2 sum_k (y_k - d_k)^2 of label spins y and targets d. As y^2 = d^2 = 1 that is a constant less sum_k d_k y_k:
    the nudge is a bias beta d_k of label cell k. The update is the difference of the phases over beta,

        dw = eta (<s_i s_j>_nudged - <s_i s_j>_free) / beta - lambda w,

    for small beta the gradient of the mean cost, for large beta that of log P(label | pixels). Biases are common to all planes of
    a chip, so that all examples of a tick are of one class; classes take turns in random order.

    beta : strength of the nudge, in kT; the chip sets the nearest code of its bias DAC
    free_sweeps, nudged_sweeps : sweeps of the phases
    tau : time constant of the averages within a phase, in sweeps
    planes : examples of a tick
    """

    ticks: int = 3000
    eta_start: float = 0.1
    eta_end: float = 0.005
    sigma: float = 0.1
    beta: float = 3.0
    free_sweeps: int = 8
    nudged_sweeps: int = 8
    tau: float = 3.0
    planes: int = 64

    def _rule(self) -> UpdateRule:
        return UpdateRule.ctd(1.0 / self.beta, 1.0 / self.beta, self.weathering)

    def _examples(self, layout: Layout, X: ArrayLike | None, y: ArrayLike | None) -> NDArray[np.int8] | None:
        if not len(layout.labels):
            raise ValueError("equilibrium propagation learns labels; name the cells that hold them when the estimator is made")
        return super()._examples(layout, X, y)

    def _loop(self, layout: Layout, examples: NDArray[np.int8] | None, rng: np.random.Generator) -> EqPropLoop:
        assert examples is not None
        return EqPropLoop(self, layout, ClassDraw(layout, examples, self.planes, rng))

    def _check(self) -> None:
        super()._check()
        self._counts("free_sweeps", "nudged_sweeps", "planes")
        self._numbers(1, "tau")
        self._demand("beta", self.beta > 0, "greater than 0")


class ClassDraw:
    """Examples at random, all of one class in a tick; classes take turns, in a new order each round."""

    def __init__(self, layout: Layout, examples: NDArray[np.int8], planes: int, rng: np.random.Generator) -> None:
        """examples : (n, clamped cells) spins"""
        labels = examples[:, len(layout.visible) :]
        words, classes = layout.clamp_words(examples), labels.argmax(axis=1)
        present = np.unique(classes)
        self._words = [words[classes == k] for k in present]
        self._targets = layout.one_hot(present)
        self._planes, self._rng = planes, rng
        self._turns: list[int] = []

    def next(self) -> tuple[NDArray[np.uint32], NDArray[np.int8]]:
        """(planes, cell words) of a class, and its (classes,) target spins."""
        if not self._turns:
            self._turns = self._rng.permutation(len(self._words)).tolist()
        turn = self._turns.pop()
        words = self._words[turn]
        return words[self._rng.integers(len(words), size=self._planes)], self._targets[turn]


class EqPropLoop(PhaseLoop):
    """Free, then nudged."""

    roles = FREE, DATA

    def __init__(self, settings: EqProp, layout: Layout, examples: ClassDraw) -> None:
        sweeps = settings.free_sweeps, settings.nudged_sweeps
        super().__init__(settings.chip, layout, settings.planes, sweeps, settings.tau)
        self._examples = examples
        c = self._chip.capabilities
        self._nudge = np.int16(self._chip.quantise_biases([settings.beta]).codes[0])
        self._ends = -(1 << c.bias_bits - 1), (1 << c.bias_bits - 1) - 1

    def _first(self, batch: Batch, codes: Codes) -> None:
        self._codes = codes
        words, self._target = self._examples.next()
        self._write_codes(batch, codes)
        self._pin(batch, self._layout.visible)
        self._send(batch, "CLAMP_VALUE", words.reshape(-1))

    def _second(self, batch: Batch, codes: Codes) -> None:
        labels, nudged = self._layout.labels, codes.biases.copy()
        nudged[labels] = np.clip(nudged[labels] + self._nudge * self._target, *self._ends)
        self._send(batch, "BIAS", nudged)

    def suspend(self) -> int:
        """As `PhaseLoop.suspend`, without the nudge."""
        batch = self._chip.batch()
        batch.write_window("BIAS", self._codes.biases)
        batch.wait_field("FABRIC.STATUS.SETTLED", 1, max_cycles=self._chip.capabilities.settle_cycles + 1)
        batch.execute()
        return super().suspend()
