"""Procedures in a graph: only what is stale is looked at, only what is off is redone, and what lies beneath it first.

The scheme is Optimus (Kelly et al., arXiv 1803.03226): `maintain` goes up from the leaves by the age of results; what is far off
is diagnosed downwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tsu_apps.calibrate.cells import Offsets, Slopes
from tsu_apps.calibrate.converters import Adc
from tsu_apps.calibrate.couplers import Couplers
from tsu_apps.calibrate.interruption import set_aside
from tsu_apps.calibrate.procedure import Procedure, Result, Verdict
from tsu_apps.calibrate.selftest import SelfTest, self_test
from tsu_apps.calibrate.temperature import Temperature
from tsu_apps.calibrate.work import Work
from tsu_apps.characterise.problems import SPINS
from tsu_driver.errors import LinkTimeout


@dataclass(frozen=True)
class Event:
    """What was done about a procedure: "fresh", "checked" or "calibrated"; how it came out; at what chip time, s."""

    name: str
    action: str
    verdict: Verdict | None
    seconds: float
    left: float | None = None
    before: float | None = None
    ok: float = 1.0
    chip_s: float = 0.0
    energy_j: float = 0.0

    def line(self, unit: str) -> str:
        """In words."""
        if self.action == "fresh":
            return f"{self.name}: still fresh"
        if self.action == "checked":
            return f"{self.name}: {self.verdict.value if self.verdict else ''}"
        change = f"{self.before:.3g} -> {self.left:.3g} {unit}".rstrip()
        return f"{self.name}: {change}, {self.ok:.1%} of elements, {self.chip_s:.3f} s of chip time, {self.energy_j:.2g} J"


class CalibrationFailed(RuntimeError):
    """A procedure stays far off although everything beneath it has been redone."""


@dataclass
class Calibrator:
    """Keeps one chip calibrated.

    procedures : by name, in an order in which each comes after what it needs
    drift : name to the rms, in the procedure's unit, that a result is expected to lose in so many seconds
    told : called with every event
    """

    work: Work
    procedures: Mapping[str, Procedure]
    drift: Mapping[str, Callable[[float], float]] = field(default_factory=dict)
    told: Callable[[Event], None] = field(default=lambda event: None)
    results: dict[str, Result] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    test: SelfTest | None = None
    _held_at: dict[str, int] = field(default_factory=dict)
    _redone_at: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, work: Work, names: Sequence[str] | None = None, **more: Any) -> Calibrator:
        """All procedures that suit the chip, or those of the names and what they need."""
        every = {p.name: p for p in standard() if p.suits(work)}
        wanted = set(every)
        if names is not None:
            unknown = sorted(set(names) - set(every))
            if unknown:
                raise ValueError(f"no procedure {unknown[0]!r} for this chip; there are {', '.join(every)}")
            wanted = set()
            for name in names:
                wanted |= {name, *_beneath(every, name)}
        return cls(work, {name: p for name, p in every.items() if name in wanted}, **more)

    def run_self_test(self) -> SelfTest:
        """Find what does not work, and calibrate without it."""
        with self._aside():
            self.test = self_test(self.work)
        self.work.adopt(good=self.test.good, stuck=self.test.stuck)
        return self.test

    def maintain(self) -> list[Event]:
        """See that all procedures hold; what was done, in order."""
        first = len(self.events)
        with self._aside():
            for name in self.procedures:
                self._maintain(name)
        return self.events[first:]

    def calibrate_all(self) -> list[Event]:
        """Redo everything, in order, and the offsets, whose size slopes have changed, once more."""
        first = len(self.events)
        with self._aside():
            for name in self.procedures:
                self._calibrate(name)
            if {"offsets", "slopes"} <= set(self.procedures):
                self._calibrate("offsets")
        return self.events[first:]

    def age_s(self, name: str) -> float | None:
        """Chip time, by the chip's own clock, since the look or calibration began that last found a procedure to hold;
        None if it never was, or was found to be off since."""
        held = self._held_at.get(name)
        return None if held is None else (self._clock - held) / self.work.chip.capabilities.clock_hz

    def _maintain(self, name: str) -> None:
        procedure, age = self.procedures[name], self.age_s(name)
        drift = self.drift[name](age) if age is not None and name in self.drift else 0.0
        newer = any(self._redone_at.get(n, -1) > self._held_at.get(name, -1) for n in procedure.needs)
        if procedure.check_state(age, drift) and not newer:
            self._tell(Event(name, "fresh", None, self._now))
            return
        verdict = self._check(name)
        if verdict is Verdict.IN:
            return
        if verdict is Verdict.BAD:
            self._diagnose(name)
        self._calibrate(name)
        if verdict is Verdict.BAD and procedure.check_data(self.work) is Verdict.BAD:
            del self._held_at[name]
            raise CalibrationFailed(f"{procedure.title} stays far out of its limit of {procedure.limit:g} {procedure.unit}")

    def _check(self, name: str) -> Verdict:
        """A quick look; a procedure that holds is as old as the look."""
        begun = self._clock
        verdict = self.procedures[name].check_data(self.work)
        self._tell(Event(name, "checked", verdict, self._now))
        if verdict is Verdict.IN:
            self._held_at[name] = begun
        else:
            self._held_at.pop(name, None)
        return verdict

    def _diagnose(self, name: str) -> None:
        """What a procedure needs is looked at, deepest first, and redone if it is off."""
        for needed in self.procedures[name].needs:
            if needed not in self.procedures:
                continue
            self._diagnose(needed)
            if self._check(needed) is not Verdict.IN:
                self._calibrate(needed)

    def _calibrate(self, name: str) -> None:
        procedure, begun = self.procedures[name], self._clock
        result = procedure.calibrate(self.work)
        procedure.apply(self.work, result)
        self.results[name], self._held_at[name], self._redone_at[name] = result, begun, self.work.chip.time_cycles
        chip_s = result.cycles / self.work.chip.capabilities.clock_hz
        done = Event(
            name,
            "calibrated",
            None,
            self._now,
            result.left,
            result.left_before,
            float(np.mean(result.ok)),
            chip_s,
            result.energy_j,
        )
        self._tell(done)

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """The workload of p-bits, set aside and put back; of other cells, whose values cannot be put back, none.

        If what is done meanwhile is broken off, trims and corrections are those of the calibration as far as it was known,
        unless the chip no longer answers.
        """
        chip = self.work.chip
        with set_aside(chip) if chip.kind in SPINS else nullcontext():
            try:
                yield
            except LinkTimeout:
                raise
            except BaseException:
                chip.apply_calibration(self.work.calibration)
                raise

    @property
    def _clock(self) -> int:
        """Chip time, cycles, as the chip says: others may have let time pass since this host's last message."""
        return self.work.chip.read_register("SYS.CYCLE")

    @property
    def _now(self) -> float:
        return self.work.chip.time_cycles / self.work.chip.capabilities.clock_hz

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        self.told(event)


def standard() -> tuple[Procedure, ...]:
    """All procedures, each after what it needs."""
    return Adc(), Offsets(), Slopes(), Temperature(), Couplers()


def _beneath(procedures: Mapping[str, Procedure], name: str) -> set[str]:
    """What a procedure needs, and what that needs, as far as the chip has it."""
    out: set[str] = set()
    for needed in procedures[name].needs:
        if needed in procedures:
            out |= {needed, *_beneath(procedures, needed)}
    return out
