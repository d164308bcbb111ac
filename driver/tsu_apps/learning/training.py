"""One run of training: masters move by a rule, tick after tick, and somebody watches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_apps.learning.answers import pinned_means
from tsu_apps.learning.examples import Layout
from tsu_apps.learning.history import Counters, Moment, Result, Snapshot, Watcher, energies
from tsu_apps.learning.loop import ChipLoop, Seen
from tsu_apps.learning.masters import Codes, Floats, Masters, RunningMean
from tsu_contract.capabilities import LSB_SCALE
from tsu_contract.operations import RECORD
from tsu_driver import Chip
from tsu_driver.rules import UpdateRule

MOMENTS = 150
"""Looks at a run."""
VALIDATIONS = 8
"""Looks that measure the accuracy on the validation part."""
VALIDATION_LOOKS = 50
"""Sweeps over which validation averages the label cells."""
MEAN_MAX = 0.98
"""Greatest |mean| of a cell whose bias begins at its arctanh."""

Validation = tuple[NDArray[np.int8], NDArray[np.int64]]
"""Pixels (n, pixels) and classes (n,)."""


@dataclass(frozen=True)
class Plan:
    """How the masters move.

    rule : what a rate of 1 does
    rates : (ticks,) kT per tick
    average_from : the averaged weights are means over the ticks from this fraction of the run on
    sigma : standard deviation of the couplings to begin with, in kT
    means : (cells,) means that cells without couplings have to begin with
    start : couplings and biases to begin with instead, in kT; None to draw them
    """

    rule: UpdateRule
    rates: Floats
    average_from: float
    sigma: float
    means: Floats
    start: tuple[Floats, Floats] | None


class Meter:
    """What a chip and its link have done since it was made."""

    def __init__(self, chip: Chip) -> None:
        self._chip, self._begun = chip, time.perf_counter()
        self._joules, self._sweeps = chip.energy().total_j, chip.read_register("FABRIC.SWEEP")
        self._seconds, self._messages, self._operations = chip.seconds, chip.stats.messages, chip.stats.operations

    def counters(self, ticks: int, window_bytes: int, host_operations: int) -> Counters:
        """Counters until now."""
        chip = self._chip
        messages, operations = chip.stats.messages - self._messages, chip.stats.operations - self._operations
        return Counters(
            ticks=ticks,
            sweeps=chip.read_register("FABRIC.SWEEP") - self._sweeps,
            chip_seconds=chip.seconds - self._seconds,
            joules=chip.energy().total_j - self._joules,
            wall_seconds=time.perf_counter() - self._begun,
            messages=messages,
            operations=operations,
            bytes=window_bytes + operations * RECORD.itemsize,
            host_operations=host_operations,
        )


class Training:
    """A run; `run` may be called once."""

    def __init__(
        self,
        chip: Chip,
        layout: Layout,
        loop: ChipLoop,
        plan: Plan,
        rng: np.random.Generator,
        validation: Validation | None,
        watchers: Sequence[Watcher],
    ) -> None:
        """rng : draws the couplings to begin with, and the rule's random numbers"""
        self._chip, self._layout, self._loop, self._plan, self._rng = chip, layout, loop, plan, rng
        self._validation, self._watchers = validation, watchers
        self._ticks = len(plan.rates)
        c = chip.capabilities
        weights, biases = rng.normal(0.0, plan.sigma, c.pairs), np.arctanh(np.clip(plan.means, -MEAN_MAX, MEAN_MAX))
        if plan.start is not None:
            weights, biases = plan.start
        self._weights = Masters(weights, c.coupling_lsb * LSB_SCALE, c.coupling_bits)
        self._biases = Masters(biases, c.bias_lsb * LSB_SCALE, c.bias_bits)
        self._averages = RunningMean(c.pairs), RunningMean(c.cells)
        looks = _spread(self._ticks, MOMENTS)
        self._looks = set(looks)
        self._checks = {looks[k - 1] for k in _spread(len(looks), VALIDATIONS)} if validation else set()
        self._history: list[Moment] = []
        self._weights_seen = self._weights.values.copy()

    def run(self) -> Result:
        """All ticks."""
        meter = Meter(self._chip)
        self._loop.begin(self._codes())
        averaged = self._plan.average_from * self._ticks
        for tick, rate in enumerate(self._plan.rates.tolist(), start=1):
            codes = self._codes()
            seen = self._loop.tick(codes, scan=tick in self._looks or tick + 1 in self._looks)
            self._move(codes, seen, rate)
            if tick > averaged:
                for average, masters in zip(self._averages, (self._weights, self._biases), strict=True):
                    average.add(masters.values)
            if tick in self._looks:
                self._look(tick, seen, codes)
        return self._result(meter)

    def _result(self, meter: Meter) -> Result:
        """The chip is left to others."""
        temperature = self._loop.temperature
        self._loop.finish()
        return Result(
            weights=self._averages[0].value,
            biases=self._averages[1].value,
            last_weights=self._weights.values,
            last_biases=self._biases.values,
            temperature=temperature,
            history=tuple(self._history),
            counters=meter.counters(self._ticks, self._loop.bytes, self._host_operations()),
        )

    def _codes(self) -> Codes:
        return Codes(self._weights.codes(), self._biases.codes())

    def _move(self, codes: Codes, seen: Seen, rate: float) -> None:
        """The masters' update."""
        rule, weights, biases = self._plan.rule, self._weights, self._biases
        programmed = weights.programmed(codes.couplings), biases.programmed(codes.biases)
        change = rule.pair_change(seen, self._chip.topology.pairs, weights.values, programmed[0], self._rng)
        change *= rate
        biases.add(rate * rule.bias_change(seen, biases.values, programmed[1], self._rng))
        weights.add(change)

    def _host_operations(self) -> int:
        """Multiply-adds: the rule, one each for the rate and for the code, one for each value that joins the averages."""
        c, (pair, bias) = self._chip.capabilities, self._plan.rule.multiply_adds
        averaged = self._ticks - int(self._plan.average_from * self._ticks)
        return self._ticks * (c.pairs * (pair + 2) + c.cells * (bias + 2)) + averaged * (c.pairs + c.cells)

    def _look(self, tick: int, seen: Seen, codes: Codes) -> None:
        """Write down a moment and tell the watchers."""
        assert seen.data_spins is not None
        assert seen.free_spins is not None
        weights, biases = self._weights.programmed(codes.couplings), self._biases.programmed(codes.biases)
        spins = np.concatenate([seen.data_spins, seen.free_spins])
        energy = np.split(energies(spins, self._chip.topology.pairs, weights, biases), [len(seen.data_spins)])
        changed = self._weights.values - self._weights_seen
        since = self._history[-1].tick if self._history else 0
        moment = Moment(
            tick=tick,
            ticks=self._ticks,
            energy_data=_statistic(np.mean, energy[0]),
            variance_data=_statistic(np.var, energy[0]),
            energy_free=_statistic(np.mean, energy[1]),
            variance_free=_statistic(np.var, energy[1]),
            change=float(np.sqrt(np.mean(changed**2))) / (tick - since),
            saturation=self._weights.saturation(),
            bias_saturation=self._biases.saturation(),
            flips=float(np.mean(seen.free_spins != seen.free_before)) if seen.free_before is not None else np.nan,
            accuracy=self._validate() if tick in self._checks else np.nan,
            temperature=self._loop.temperature,
        )
        self._weights_seen = self._weights.values.copy()
        self._history.append(moment)
        self._tell(moment, (weights, biases), seen)

    def _tell(self, moment: Moment, programmed: tuple[Floats, Floats], seen: Seen) -> None:
        """Show a look to the watchers."""
        if not self._watchers:
            return
        snapshot = Snapshot(
            moment=moment,
            pairs=self._chip.topology.pairs,
            rule=self._plan.rule.scaled(float(self._plan.rates[moment.tick - 1])),
            weights=self._weights.values.copy(),
            biases=self._biases.values.copy(),
            programmed_weights=programmed[0],
            programmed_biases=programmed[1],
            coupling_lsb=self._weights.lsb,
            seen=seen,
        )
        for watcher in self._watchers:
            watcher(snapshot)

    def _validate(self) -> float:
        """Accuracy of the chip as it is programmed, in the planes that the loop lends."""
        assert self._validation is not None
        pixels, classes = self._validation
        planes = self._loop.suspend()
        means = pinned_means(self._chip, self._layout.visible, pixels, self._layout.labels, planes, VALIDATION_LOOKS)
        self._loop.resume()
        return float(np.mean(means.argmax(axis=1) == classes))


def _statistic(function: Callable[[Floats], np.floating[Any]], values: Floats) -> float:
    """NaN of no values."""
    return float(function(values)) if len(values) else np.nan


def _spread(total: int, number: int) -> list[int]:
    """About `number` of 1 .. total, evenly spread, `total` among them."""
    return [int(t) for t in np.rint(np.linspace(0, total, min(number, total) + 1)[1:])]
