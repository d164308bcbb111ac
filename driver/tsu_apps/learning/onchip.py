"""Continuous Thermodynamic Descent by the chip's own learning engine: the host lays the examples out, and looks on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tsu_apps.learning.concurrent import WARM_UP, Roles, configure
from tsu_apps.learning.ctd import Ctd
from tsu_apps.learning.examples import Layout
from tsu_apps.learning.history import Result
from tsu_apps.learning.loop import Seen
from tsu_apps.learning.masters import Floats
from tsu_apps.learning.training import Meter, Training
from tsu_contract.capabilities import LSB_SCALE
from tsu_driver import Chip, Instruction, Linear, Logarithmic, Opcode
from tsu_driver.rules import UpdateRule

AVERAGED_EVERY = 10
"""Ticks from one look at the accumulators to the next, while their average is taken."""
SHUFFLES = 8
"""Orders of the examples that the ring holds one behind the other, if host memory has room for so many."""
Spins = NDArray[np.int8]


@dataclass(frozen=True)
class Engine:
    """How the learning engine works.

    rule : in kT per update at the first rate; gain_decay : fraction of the rates that each update takes away
    stochastic, stochastic_codes : how changes are rounded to accumulator steps, and accumulators to codes
    taken : examples of a tick; cooling : schedule of T, from the first tick on
    """

    rule: UpdateRule
    gain_decay: float
    stochastic: bool
    stochastic_codes: bool
    taken: int
    cooling: Linear | Logarithmic | None


class OnChipLoop:
    """A chip that learns: ticks by the program, weights and spins on demand.

    bytes : data of windows that have gone over the link; temperature : T of the last sweep
    """

    def __init__(
        self, chip: Chip, layout: Layout, roles: Roles, engine: Engine, examples: Spins, rng: np.random.Generator
    ) -> None:
        """examples : (n, clamped cells); they go into host memory in SHUFFLES random orders, as far as they fit."""
        self.bytes = 0
        self._chip, self._layout, self._roles, self._engine = chip, layout, roles, engine
        c = chip.capabilities
        self._words = c.dimension("spin_words")
        orders = max(1, min(SHUFFLES, c.hostmem_words // (self._words * len(examples))))
        self._examples = np.concatenate([rng.permutation(examples) for _ in range(orders)])
        self._tick = [
            Instruction(Opcode.CLAMP_NEXT, engine.taken),
            Instruction(Opcode.WAIT_SETTLE),
            Instruction(Opcode.RUN, roles.sweeps),
            *roles.swaps,
        ]

    @property
    def temperature(self) -> float:
        """T of the last sweep."""
        return self._chip.read_register("TEMP.TDAC") * self._chip.capabilities.temp_lsb * LSB_SCALE

    def begin(self, weights: Floats, biases: Floats) -> None:
        """Set up everything and let the averages fill; nothing learns yet."""
        chip, engine = self._chip, self._engine
        chip.set_temperature(1.0)
        configure(chip, self._roles)
        chip.set_weights(weights, biases)
        chip.freeze()
        chip.stream(self._examples, self._layout.clamped, planes=self._roles.data)
        self.bytes += 4 * (self._words * len(self._examples) + weights.size + biases.size) + 2 * (2 * weights.size + biases.size)
        chip.execute_program([Instruction(Opcode.CLAMP_NEXT, len(self._roles.data))])
        chip.run(int(WARM_UP * max(self._roles.tau_data, self._roles.tau_free)))
        chip.load_rule(
            engine.rule,
            stochastic=engine.stochastic,
            stochastic_codes=engine.stochastic_codes,
            gain_decay=engine.gain_decay,
        )
        chip.schedule(engine.cooling)

    def learn(self, ticks: int) -> None:
        """So many ticks."""
        if ticks:
            loop = Instruction(Opcode.LOOP, ticks), Instruction(Opcode.END)
            self._chip.execute_program([loop[0], *self._tick, Instruction(Opcode.LEARN), loop[1]])

    def weights(self) -> tuple[Floats, Floats]:
        """What the accumulators hold, kT."""
        found = self._chip.weights()
        self.bytes += 4 * (found.pairs.size + found.biases.size)
        return found.pairs, found.biases

    def watch(self) -> Seen:
        """One tick, with a look before it and one before it learns."""
        chip, roles = self._chip, self._roles
        before = chip.read(stale_ok=True)
        chip.execute_program(self._tick)
        spins, found, cold = chip.read(), chip.correlations(), roles.cold(chip)
        chip.execute_program([Instruction(Opcode.LEARN)])
        self.bytes += 2 * 4 * self._words * len(spins) + 8 * (found.data_pairs.size + found.data_means.size)
        averages = found.data_pairs, found.free_pairs, found.data_means, found.free_means
        return Seen(*averages, data_spins=spins[roles.data], free_spins=spins[cold], free_before=before[cold])

    def suspend(self) -> int:
        """Hold averages, free planes and T as they are; the data planes are lent."""
        self._schedule = self._chip.read_register("TEMP.SCHEDULE")
        self._chip.write_register("TEMP.SCHEDULE", 0)
        self._chip.write_register("CORR.CTRL.ENABLE", 0)
        return len(self._roles.data)

    def resume(self) -> None:
        """Undo `suspend`, whatever became of clamps and enabled planes."""
        chip, cells = self._chip, self._layout.clamped
        chip.enable_planes(self._roles.enabled)
        chip.unclamp(planes=self._roles.data)
        chip.clamp(cells, np.ones(len(cells), bool), self._roles.data)
        chip.execute_program([Instruction(Opcode.CLAMP_NEXT, len(self._roles.data))])
        chip.write_register("CORR.CTRL.ENABLE", 1)
        chip.write_register("TEMP.SCHEDULE", self._schedule)

    def finish(self) -> None:
        """The chip's schedule and ladders end; its temperature stays."""
        self._chip.schedule(None)
        if self._roles.tempered:
            self._chip.clear_ladders()


class OnChipTraining(Training):
    """A run in which the chip moves the weights; the host's masters are what it read from the accumulators."""

    _loop: OnChipLoop  # type: ignore[assignment]

    def run(self) -> Result:
        """All ticks."""
        meter = Meter(self._chip)
        self._loop.begin(self._weights.values, self._biases.values)
        done, first = 0, int(self._plan.average_from * self._ticks)
        averaged = set(range(first + 1, self._ticks + 1, AVERAGED_EVERY)) | {self._ticks}
        for stop in sorted(self._looks | averaged):
            if stop in self._looks:
                self._loop.learn(stop - done - 1)
                self._read()
                codes = self._codes()
                seen = self._loop.watch()
                self._read()
                self._look(stop, seen, codes)
            else:
                self._loop.learn(stop - done)
                self._read()
            done = stop
            if stop in averaged:
                for average, masters in zip(self._averages, (self._weights, self._biases), strict=True):
                    average.add(masters.values)
        return self._result(meter)

    def _read(self) -> None:
        self._weights.values, self._biases.values = self._loop.weights()

    def _host_operations(self) -> int:
        """Multiply-adds: one for each value that joins the averages."""
        c = self._chip.capabilities
        return self._averages[0].count * (c.pairs + c.cells)


@dataclass(eq=False, repr=False)
class OnChipCtd(Ctd):
    """A Boltzmann machine trained by Continuous Thermodynamic Descent on the chip: its learning engine moves the weights, its DMA
    fetches the examples, and the host looks on.

    As `Ctd`, but there is no teacher and no pull, and:
    stochastic : changes are rounded to steps of the accumulators at random, with the right mean; else to the nearest, and rates
        whose changes are below half a step then do nothing
    stochastic_codes : accumulators are rounded to codes at random, anew in each tick; else to the nearest
    dwell : ticks for which a plane keeps its example; it divides the number of data planes, of which so many of them change at
        a tick. Averaged weights are means over looks, `AVERAGED_EVERY` ticks apart.
    """

    stochastic: bool = True
    stochastic_codes: bool = False

    _training: ClassVar[type[Training]] = OnChipTraining

    def _loop(self, layout: Layout, examples: Spins | None, rng: np.random.Generator) -> OnChipLoop:  # type: ignore[override]
        assert examples is not None
        decay = 1.0 - (self.eta_end / self.eta_start) ** (1.0 / max(1, self.ticks - 1)) if self.eta_start else 0.0
        rule = self._rule().scaled(self.eta_start)
        taken = self.data_planes // self.dwell
        engine = Engine(rule, decay, self.stochastic, self.stochastic_codes, taken, self.cooling)
        return OnChipLoop(self.chip, layout, self._roles(self.data_planes), engine, examples, rng)

    def _check(self) -> None:
        super()._check()
        self._demand("pull", self.pull is None, "None: the ring in host memory holds spins to pin")
        self._demand("teacher", self.teacher is None, "None: the engine learns from its own averages")
        self._demand("dwell", self.data_planes % self.dwell == 0, f"a divisor of data_planes = {self.data_planes}")
