"""The chip of a test and what stands round it, in one process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tsu_emu.chip import Chip as EmulatedChip
from tsu_emu.config import load
from tsu_testing.faults import Target, strike
from tsu_testing.firmware import Firmware
from tsu_testing.in_process import InProcessChip, InProcessInstruments, InProcessOracle, see_compiled

TRACED = 15
"""Instructions in a report."""


class Bench:
    """config : name or path; image : of the core, or None for the behavioural boot firmware; changes : values by key path;
    driven : the driver waits for boot before anything else. ConfigError: there is no such chip.

    driver : the chip as host programs see it, if driven; firmware : the image under test, None without one
    emulated : the chip itself; oracle, instruments : docs/bench.md
    """

    def __init__(self, config: str, image: Path | None, changes: Mapping[str, str], driven: bool) -> None:
        self._changes = dict(changes) | ({"cpu.image": str(image)} if image is not None else {})
        self.config = load(config, self._changes)
        self._driver = InProcessChip(self.config, record=image is None) if driven else None
        if self._driver is None:
            see_compiled(self.config)
        self.emulated = self._driver.emulated if self._driver is not None else EmulatedChip(self.config)
        self.oracle = self._driver.oracle if self._driver else InProcessOracle(self.emulated)
        self.instruments = self._driver.instruments if self._driver else InProcessInstruments(self.emulated)
        self.firmware = Firmware(self.emulated) if image is not None else None

    @property
    def driver(self) -> InProcessChip:
        """The driver's chip. ValueError: this bench was made without."""
        if self._driver is None:
            raise ValueError("this bench has no driver")
        return self._driver

    @property
    def seeds(self) -> dict[str, int]:
        """Of die and life."""
        return {"die": self.config.seeds.die, "run": self.config.seeds.run}

    def strike(self, kind: str, seed: int) -> str:
        """A fault of a campaign's kind happens now; what it hits follows from the seed. All RAM and all interrupts are in reach.

        ValueError: the chip lacks what is to be hit; KeyError: no such kind.
        """
        if self._driver is not None and self._driver.recorded is not None:
            self._driver.recorded.spoilt = True
        target = Target(self.emulated, np.arange(len(self.emulated.state.core_ram)), 0xFF)
        return strike(kind, target, np.random.default_rng(seed))

    def recording(self, folder: Path, name: str) -> Path | None:
        """A file with all that driver, oracle and instruments asked of the chip, for `tsu-emu replay`; None if there was more."""
        recorded = self._driver.recorded if self._driver is not None else None
        return recorded.write(folder, name) if recorded is not None else None

    def described(self) -> list[str]:
        """The chip in words: configuration, seeds, time, faults, and what the core did last."""
        changes = "".join(f", {key}={value}" for key, value in self._changes.items())
        lines = [f"{self.config.name}{changes}", f"seeds: die {self.seeds['die']}, run {self.seeds['run']}"]
        lines.append(f"cycle {self.emulated.link_time}")
        faults = self.oracle.faults()
        lines += [f"{len(faults)} injected faults: {faults}"] if len(faults) else []
        if self.firmware is not None:
            lines += ["last instructions of the core:", *self.firmware.trace(TRACED)]
        return lines

    def close(self) -> None:
        """Let go of the chip."""
        if self.firmware is not None:
            self.firmware.close()
        if self._driver is not None:
            self._driver.close()
