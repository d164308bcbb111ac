"""Campaigns: a scenario is run again and again with one fault each, and what comes of it is classified."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tsu_contract.registers import access_table
from tsu_emu.chip import Chip
from tsu_emu.config import ChipConfig
from tsu_emu.cpu.state import BUS_LOAD, BUS_STORE
from tsu_testing.faults import AT_ACCESS, KINDS, Impossible, Target, strike
from tsu_testing.host import BusError, Host
from tsu_testing.in_process import see_compiled
from tsu_testing.replay import Departing, OutOfBudget, Recorder, Recording, ram_in_use
from tsu_testing.tracing import Tracer

OUTCOMES = ("masked", "recovered", "detected", "hang", "silent")
"""masked: right, and nobody noticed; recovered: noticed, and right in the end; detected: not right, and reported; hang: no answer
within the scenario's patience; silent: not right, and nobody noticed."""
SAVED = 40
"""States kept of the run without faults."""


@dataclass(frozen=True)
class Played:
    """What a run of a scenario came to.

    right : all that matters is as it should be; reports : what firmware and host noticed, in words; answered : the firmware
    answered to the end, if only to say that it cannot
    """

    right: bool
    reports: tuple[str, ...] = ()
    answered: bool = True


class Scenario(Protocol):
    """A chip with its firmware, and what a host does with it.

    config : of the chip; play : the host's program, which may depend on nothing but what it reads; it comes to an end whatever
    the firmware does
    """

    @property
    def config(self) -> ChipConfig: ...
    def play(self, host: Host) -> Played: ...


@dataclass(frozen=True)
class Result:
    """One fault. what : it hit; cycle : at which; reports : what was noticed."""

    kind: str
    seed: int
    cycle: int
    what: str
    outcome: str
    reports: tuple[str, ...]


@dataclass(frozen=True)
class Golden:
    """The run without faults. accesses : cycles of the core's accesses while the host waits; ram : words in use;
    events : bits of IRQ.PENDING that core or host enable."""

    recording: Recording
    accesses: NDArray[np.int64]
    ram: NDArray[np.int64]
    events: int


def classified(played: Played) -> str:
    """One of OUTCOMES."""
    if played.right:
        return "recovered" if played.reports else "masked"
    if not played.answered:
        return "hang"
    return "detected" if played.reports else "silent"


class Campaign:
    """Faults in one scenario. Impossible: it does not come out right without any.

    budget : cycles that a run may take beyond the one without faults, at least all the host's patience; a hang then
    """

    def __init__(self, scenario: Scenario, budget: int = 1_000_000_000) -> None:
        self.scenario, self._budget = scenario, budget

    @cached_property
    def chip(self) -> Chip:
        """The chip of all runs."""
        see_compiled(self.scenario.config)
        return Chip(self.scenario.config)

    @cached_property
    def golden(self) -> Golden:
        """Two runs without faults: one says how long it takes, the other is recorded."""
        length = self._recorded(1 << 62).end
        chip = Chip(self.scenario.config)
        with Tracer(chip, 1 << 22) as tracer:
            recording = self._recorded(max(length // SAVED, 1), chip)
        rows = tracer.last()
        if tracer.instructions > len(rows):
            raise Impossible(f"the scenario takes {tracer.instructions} instructions; a campaign's may take {len(rows)}")
        accesses = rows["cycle"][np.isin(rows["kind"], (BUS_LOAD, BUS_STORE))]
        waits = np.array([(call.begin, call.waits_until) for call in recording.calls])
        at = np.searchsorted(waits[:, 0], accesses - 1, side="right") - 1
        accesses = accesses[accesses - 1 < waits[at, 1]]
        registers, word = chip.state.registers, access_table().word
        events = int(registers[word("IRQ.ENABLE")] | registers[word("CPU.IRQ_ENABLE")]) or 0xFF
        return Golden(recording, accesses, ram_in_use(recording), events)

    def _recorded(self, spacing: int, chip: Chip | None = None) -> Recording:
        recorder = Recorder(chip or Chip(self.scenario.config), spacing)
        played = self.scenario.play(recorder)
        if not played.right or played.reports:
            raise Impossible(f"without faults the scenario is to come out right, without reports: {played}")
        return recorder.recording

    def run(self, kind: str, seed: int, tracer: Tracer | None = None) -> Result:
        """The fault of a kind and a seed; the same each time. tracer : of `chip`, which is to note what follows the fault.

        Impossible: no such kind, or the chip lacks what it strikes.
        """
        if kind not in KINDS:
            raise Impossible(f"{kind} is no kind of fault; there are {', '.join(KINDS)}")
        golden, rng, hit = self.golden, np.random.default_rng(seed), [""]
        if kind in AT_ACCESS and not golden.accesses.size:
            raise Impossible(f"a {kind} needs an access, and the core makes none while the host waits")
        cycle = int(rng.choice(golden.accesses)) - 1 if kind in AT_ACCESS else int(rng.integers(golden.recording.waits_until))
        target = Target(self.chip, golden.ram, golden.events)

        def act() -> None:
            if tracer is not None:
                tracer.clear()
            hit[0] = strike(kind, target, rng)

        host = self.departing(cycle, act)
        try:
            played = self.scenario.play(host)
        except OutOfBudget as error:
            played = Played(False, (str(error),), False)
        except BusError as error:
            played = Played(False, (str(error),))
        return Result(kind, seed, host.cycle, hit[0], classified(played), played.reports)

    def departing(self, cycle: int, act: Callable[[], None]) -> Departing:
        """A host that follows the run without faults up to a cycle."""
        recording = self.golden.recording
        return Departing(self.chip, recording, cycle, act, self._budget)

    def measure(self, kind: str, seed: int) -> Mapping[str, float]:
        """For a study: number of the outcome in OUTCOMES, and the fault's cycle."""
        result = self.run(kind, seed)
        return {"outcome": OUTCOMES.index(result.outcome), "cycle": result.cycle}
