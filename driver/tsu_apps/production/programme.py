"""A test programme: the steps that some limits ask for, on one part, and what they say of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

from tsu_apps.calibrate import Work
from tsu_apps.ending import afterwards
from tsu_apps.production.limits import PASS_BIN, Limit, checked
from tsu_apps.production.values import STEPS, Bench, Step
from tsu_driver import Chip
from tsu_driver.instruments import Instruments

VALUES = tuple(chain.from_iterable(step.gives for step in STEPS))
"""Names of all that can be tested."""


@dataclass(frozen=True)
class Part:
    """One part that was tested.

    name : serial number; values : by name; seconds : chip time by step; failed : tests that it fails, in order
    skipped : tests that neither the part nor the bench can do, and which say nothing of it
    """

    name: str
    values: dict[str, float]
    seconds: dict[str, float]
    failed: tuple[Limit, ...]
    skipped: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether all tests did."""
        return not self.failed

    @property
    def bin(self) -> int:
        """Hard bin: 1, or that of the first test that failed."""
        return self.failed[0].bin if self.failed else PASS_BIN

    @property
    def soft_bin(self) -> int:
        """1, or the number of the first test that failed."""
        return self.failed[0].number if self.failed else PASS_BIN


def judged(
    name: str, limits: Sequence[Limit], values: dict[str, float], seconds: dict[str, float], skipped: Sequence[str] = ()
) -> Part:
    """A part by its values; limits of values that it lacks do not count."""
    failed = tuple(limit for limit in checked(limits) if limit.name in values and not limit.passes(values[limit.name]))
    return Part(name, values, seconds, failed, tuple(skipped))


@dataclass(frozen=True)
class Programme:
    """Limits, the sample sizes as a share of the full ones, and the steps that the limits ask for.

    ValueError: a limit of something that is not measured.
    """

    limits: tuple[Limit, ...]
    effort: float = 1.0

    def __post_init__(self) -> None:
        unknown = {limit.name for limit in self.limits} - set(VALUES)
        if unknown:
            raise ValueError(f"nothing measures {', '.join(sorted(unknown))}; values are {', '.join(VALUES)}")
        checked(self.limits)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Those that give what has a limit; the self-test always, since the others leave out what it finds."""
        wanted = {limit.name for limit in self.limits}
        return tuple(step for step in STEPS if step is STEPS[0] or not wanted.isdisjoint(step.gives))

    def run(
        self,
        chip: Chip,
        instruments: Instruments | None = None,
        *,
        progress: Callable[[str, float], None] = lambda name, share: None,
    ) -> Part:
        """Test a part as it comes: a calibration that is applied to it is taken back first, and trims are 0 afterwards, also of
        one that was broken off."""
        bench = bench_of(chip, self.effort, instruments)
        return self.repeat(bench, self.steps, progress)

    def repeat(
        self, bench: Bench, steps: Sequence[Step], progress: Callable[[str, float], None] = lambda name, share: None
    ) -> Part:
        """Some of the steps, on a part that sits in a bench already; what its self-test found stays known."""
        chip, values, seconds = bench.chip, dict[str, float](), dict[str, float]()
        wanted = {limit.name for limit in self.limits}
        skipped: list[str] = []
        with afterwards(lambda: _bare(bench)):
            for step in steps:
                if not step.suits(bench):
                    skipped += [name for name in step.gives if name in wanted]
                    continue
                begun = chip.seconds
                bench.work.step = partial(progress, step.name)
                found = step.run(bench)
                seconds[step.name] = chip.seconds - begun
                values |= {name: value for name, value in found.items() if name in wanted}
        return judged(serial(chip), self.limits, values, seconds, skipped)


def bench_of(chip: Chip, effort: float, instruments: Instruments | None = None) -> Bench:
    """A part in its socket, of which nothing is known and nothing is trimmed."""
    if not (math.isfinite(effort) and effort > 0):
        raise ValueError(f"effort {effort:g}; a number above 0 is expected")
    chip.apply_calibration(None)
    return Bench(Work.of(chip, effort), instruments)


def _bare(bench: Bench) -> None:
    """Trims and corrections are taken back; cells that do not work stay known."""
    known = bench.work.calibration
    bench.chip.apply_calibration(None)
    bench.work = Work.of(bench.chip, bench.work.effort)
    if not known.good.all() or len(known.stuck):
        bench.work.adopt(good=known.good, stuck=known.stuck)


def serial(chip: Chip) -> str:
    """A part's serial number, 16 hexadecimal digits."""
    return f"{chip.capabilities.serial:016x}"
