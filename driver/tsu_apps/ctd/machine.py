"""The Boltzmann machine on a chip: train, classify, generate."""

from __future__ import annotations

import time
from contextlib import ExitStack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_apps.ctd.classify import dream, label_means
from tsu_apps.ctd.config import CtdConfig
from tsu_apps.ctd.examples import Layout
from tsu_apps.ctd.history import Counters, CtdResult, Listener, Moment, energies
from tsu_apps.ctd.loop import Averages, TickLoop
from tsu_apps.ctd.progress import Bar
from tsu_apps.ctd.rule import Floats, Masters, RunningMean, deposition_rates
from tsu_contract.capabilities import LSB_SCALE
from tsu_driver import Chip

MOMENTS = 150
"""Looks at a run."""
VALIDATIONS = 8
"""Looks that measure the accuracy on the validation part."""
VALIDATION_LOOKS = 50
"""Sweeps over which validation averages the label cells."""
LOOKS = 200
"""Sweeps over which `predict` averages them."""
MEAN_MAX = 0.98
"""Greatest |mean| of a cell whose bias begins at its arctanh."""


class Ctd:
    """A Boltzmann machine on a chip, trained by Continuous Thermodynamic Descent with the host in the loop.

    Cells that hold neither pixels nor labels are hidden. Static errors of the chip are learnt along: the averages that
    move the weights are those of the chip as it is.

    result : what `fit` came to, None before. Put the result of another chip here to deploy its weights.
    """

    def __init__(self, chip: Chip, visible: ArrayLike, labels: ArrayLike = (), config: CtdConfig | None = None) -> None:
        """A machine on `chip`.

        visible : (pixels,) numbers of the cells that hold pixels
        labels : (classes,) numbers of the cells that hold labels, one for each class; none for data without labels
        config : how to train; the default suits 8x8 digits
        ValueError names a cell that the chip lacks or that is used twice.
        """
        self.chip = chip
        self.config = config or CtdConfig()
        self.layout = Layout(chip.capabilities.cells, visible, labels)
        self.result: CtdResult | None = None

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        validation: tuple[ArrayLike, ArrayLike] | None = None,
        progress: Listener | bool = True,
    ) -> CtdResult:
        """Train; returns `result`.

        X : (n, pixels) of -1 and +1
        y : (n,) integer classes, 0 .. classes - 1; None for a machine without labels
        validation : X and y of examples that are not trained on, classified a few times on the way
        progress : True shows a bar, False shows nothing, a function is called with every Moment
        ValueError says what is wrong with X, y or validation; errors of the chip are those of `tsu_driver`.
        """
        examples = self.layout.examples(X, y)
        held = None
        if validation is not None:
            pixels = self.layout.pixels(validation[0])
            held = pixels, self.layout.classes(validation[1], len(pixels))
        with ExitStack() as stack:
            listener = stack.enter_context(Bar()) if progress is True else progress or None
            self.result = _Training(self, examples, held, listener).run()
        return self.result

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """(n,) classes of (n, pixels) examples of -1 and +1: pixels pinned, the label cell that is up most often.

        ValueError says what is wrong with X.
        """
        classes: NDArray[np.int64] = self.label_means(X).argmax(axis=1)
        return classes

    def label_means(self, X: ArrayLike) -> Floats:
        """(n, classes) mean spins of the label cells with the pixels pinned; one example to a plane. X as in `predict`."""
        if not len(self.layout.labels):
            raise ValueError("no cell holds labels; name them when the Ctd is made")
        pixels = self.layout.pixels(X)
        self._deploy()
        return label_means(self.chip, self.layout, pixels, self.chip.capabilities.planes, LOOKS)

    def generate(self, label: int, n: int) -> NDArray[np.int8]:
        """(n, pixels) spins of pixels drawn with the label pinned to class `label`, every one cooled down anew."""
        self.layout.classes([label], 1)
        if n < 1:
            raise ValueError(f"n = {n}; at least 1 is expected")
        self._deploy()
        return dream(self.chip, self.layout, label, n, self.chip.capabilities.planes)

    def _deploy(self) -> None:
        """Program the averaged weights, T = 1."""
        if self.result is None:
            raise ValueError("the machine is not trained; call fit first")
        self.chip.set_temperature(1.0)
        self.chip.plane_temperatures(1.0)
        self.chip.program_couplings((self.chip.topology.pairs, self.result.weights), self.result.biases)


class _Training:
    """One run of `Ctd.fit`."""

    def __init__(
        self,
        machine: Ctd,
        examples: NDArray[np.int8],
        validation: tuple[NDArray[np.int8], NDArray[np.int64]] | None,
        listener: Listener | None,
    ) -> None:
        self._chip, self._layout, self._config = machine.chip, machine.layout, machine.config
        self._validation, self._listener = validation, listener
        self._rng = np.random.default_rng(self._config.seed)
        self._words = self._layout.clamp_words(examples)
        self._loop = TickLoop(self._chip, self._layout.clamped, self._config)
        c = self._chip.capabilities
        self._weights = Masters(self._rng.normal(0.0, self._config.sigma, c.pairs), c.coupling_lsb * LSB_SCALE, c.coupling_bits)
        self._biases = Masters(self._first_biases(examples), c.bias_lsb * LSB_SCALE, c.bias_bits)
        self._averages = RunningMean(c.pairs), RunningMean(c.cells)
        looks = _spread(self._config.ticks, MOMENTS)
        self._looks = set(looks)
        self._checks = {looks[k - 1] for k in _spread(len(looks), VALIDATIONS)} if validation else set()
        self._history: list[Moment] = []
        self._weights_seen = self._weights.values.copy()
        self._spins_seen: NDArray[np.int8] | None = None

    def run(self) -> CtdResult:
        """All ticks."""
        chip, config, begun = self._chip, self._config, time.perf_counter()
        before = chip.seconds, chip.stats.messages, chip.stats.operations, chip.read_register("FABRIC.SWEEP")
        self._loop.begin(self._weights.codes(), self._biases.codes(), self._draw())
        averaged = config.average_from * config.ticks
        for tick, eta in enumerate(deposition_rates(config).tolist(), start=1):
            seen = self._tick(eta, scan=tick in self._looks or tick + 1 in self._looks)
            if tick > averaged:
                for average, masters in zip(self._averages, (self._weights, self._biases), strict=True):
                    average.add(masters.values)
            if tick in self._looks:
                self._look(tick, seen)
            self._spins_seen = seen.spins
        sweeps = chip.read_register("FABRIC.SWEEP") - before[3]
        return CtdResult(
            weights=self._averages[0].value,
            biases=self._averages[1].value,
            last_weights=self._weights.values,
            last_biases=self._biases.values,
            history=tuple(self._history),
            counters=Counters(
                ticks=config.ticks,
                sweeps=sweeps,
                chip_seconds=chip.seconds - before[0],
                wall_seconds=time.perf_counter() - begun,
                messages=chip.stats.messages - before[1],
                operations=chip.stats.operations - before[2],
            ),
        )

    def _tick(self, eta: float, scan: bool) -> Averages:
        """Codes and fresh examples to the chip, averages back, masters moved."""
        self._codes = self._weights.codes(), self._biases.codes()
        seen = self._loop.tick(*self._codes, self._draw(), scan)
        erosion, decay = eta * self._config.ratio, eta * self._config.weathering
        self._weights.update(seen.data_pairs, seen.free_pairs, eta, erosion, decay)
        self._biases.update(seen.data_means, seen.free_means, eta, erosion, decay)
        return seen

    def _draw(self) -> NDArray[np.uint32]:
        """Clamp words of fresh random examples, (data planes, cell words)."""
        return self._words[self._rng.integers(len(self._words), size=self._config.data_planes)]

    def _first_biases(self, examples: NDArray[np.int8]) -> Floats:
        """(cells,) biases that give cells without couplings the means of the data; 0 for hidden cells."""
        biases = np.zeros(self._layout.cells)
        biases[self._layout.clamped] = np.arctanh(np.clip(examples.mean(axis=0), -MEAN_MAX, MEAN_MAX))
        return biases

    def _look(self, tick: int, seen: Averages) -> None:
        """Write down a moment and tell the listener."""
        assert seen.spins is not None
        data = self._config.data_planes
        weights, biases = self._weights.programmed(self._codes[0]), self._biases.programmed(self._codes[1])
        energy = energies(seen.spins, self._chip.topology.pairs, weights, biases)
        changed = self._weights.values - self._weights_seen
        since = self._history[-1].tick if self._history else 0
        moment = Moment(
            tick=tick,
            ticks=self._config.ticks,
            energy_data=float(energy[:data].mean()),
            variance_data=float(energy[:data].var()),
            energy_free=float(energy[data:].mean()),
            variance_free=float(energy[data:].var()),
            change=float(np.sqrt(np.mean(changed**2))) / (tick - since),
            saturation=self._weights.saturation(),
            bias_saturation=self._biases.saturation(),
            flips=float(np.mean(seen.spins[data:] != self._spins_seen[data:])) if self._spins_seen is not None else np.nan,
            accuracy=self._validate() if tick in self._checks else np.nan,
        )
        self._weights_seen = self._weights.values.copy()
        self._history.append(moment)
        if self._listener:
            self._listener(moment)

    def _validate(self) -> float:
        """Accuracy of the chip as it is programmed, in the data planes; the free planes are left alone."""
        assert self._validation is not None
        pixels, classes = self._validation
        self._loop.suspend()
        means = label_means(self._chip, self._layout, pixels, self._config.data_planes, VALIDATION_LOOKS)
        self._loop.resume()
        return float(np.mean(means.argmax(axis=1) == classes))


def _spread(total: int, number: int) -> list[int]:
    """About `number` of 1 .. total, evenly spread, `total` among them."""
    return [int(t) for t in np.rint(np.linspace(0, total, min(number, total) + 1)[1:])]
