"""The scenario of the chip's own firmware, firmware_models/c: boot, a look at offsets, annealing under biases, the safe state."""

from __future__ import annotations

import math
from pathlib import Path

from tsu_emu.config import ChipConfig, load
from tsu_testing.campaign import Played
from tsu_testing.host import BITTEN, FAILED, FROM_CORE, READY, TO_CORE, Host

IMAGE = Path(__file__).resolve().parents[1] / "c" / "prebuilt" / "firmware.elf"
LOOK, ANNEAL, SAFE = 2, 5, 6
CELLS, PLANES, BIAS, LSB_KT, T_ONE, SWEEPS = 16, 64, 40, 2.0 / 128, 64, 100
SIGMAS = 6.0
"""What is random may be so many standard deviations from its law: offsets as looked at, and cells' numbers of +1."""
PATIENCE, WORD, EVERY, TRIES = 20_000_000, 200_000, 5000, 2
"""Cycles that the host waits for boot and for an answer, more than a period of the watchdog; for a further word of it; between
two looks; how often it asks."""


class Commands:
    """Scenario. image : of a firmware with these commands."""

    def __init__(self, image: Path = IMAGE) -> None:
        self.image = image

    @property
    def config(self) -> ChipConfig:
        """ideal-16 with the core."""
        return load("ideal-16", {"cpu.image": str(self.image)})

    def play(self, host: Host) -> Played:
        """Right is what cells without offsets show, the law of biased spins after annealing, and no bias left in safety."""
        reports: list[str] = []
        right = self._ready(host) and self._commanded(host, reports)
        boot = host.read("SYS.BOOT")
        if host.read("CPU.STATUS") & BITTEN:
            reports.append("the watchdog has bitten")
        if boot & 0xFF == FAILED:
            reports.append(f"SYS.BOOT is FAILED, {boot >> 8:#x}")
        if right is None:
            return Played(False, tuple(reports), boot & 0xFF == FAILED or any(r.startswith("status") for r in reports))
        return Played(right, tuple(reports), boot & 0xFF != 1)

    def _ready(self, host: Host) -> bool | None:
        """True, or None if boot failed or takes too long."""
        end = host.now + PATIENCE
        while host.now < end:
            host.until(host.now + EVERY)
            stage = host.read("SYS.BOOT") & 0xFF
            if stage in (READY, FAILED):
                return stage == READY or None
        return None

    def _commanded(self, host: Host, reports: list[str]) -> bool | None:
        """Whether all is right; None if a command was not carried out."""
        look = self._asked(host, reports, 5, LOOK, 1)
        if look is None:
            return None
        for k in range(CELLS // 2):
            host.write("BIAS", BIAS * 0x10001, k)
        anneal = self._asked(host, reports, 1, ANNEAL, T_ONE, SWEEPS)
        lawful = _lawful(host.words("SPIN", PLANES))
        safe = self._asked(host, reports, 3, SAFE)
        if anneal is None or safe is None:
            return None
        rms, worst, _, error, stuck = look
        offsets = stuck == 0 and rms <= 2 * error and worst <= SIGMAS * error
        return offsets and lawful and set(host.words("BIAS", CELLS // 2)) == {0} and host.read("TEMP.TDAC") == T_ONE

    def _asked(self, host: Host, reports: list[str], count: int, number: int, *arguments: int) -> list[int] | None:
        """The words of an answer, `count` of them; if there is none the host gives the watchdog time, and asks again."""
        for _ in range(TRIES):
            host.write("MAILBOX.STATUS", FROM_CORE)
            words = self._exchanged(host, (number | len(arguments) << 8, *arguments))
            if words is None:
                reports.append("no answer")
                host.until(host.now + PATIENCE)
                host.write("MAILBOX.STATUS", FROM_CORE | TO_CORE)
                if self._ready(host) is None:
                    return None
            elif words[0] == number | count << 8 and len(words) == count + 1:
                return words[1:]
            else:
                reports.append(f"status {words[0] >> 16 & 0xFF} of command {number}")
        return None

    def _exchanged(self, host: Host, command: tuple[int, ...]) -> list[int] | None:
        for word in command:
            host.send(word)
            if not host.poll("MAILBOX.STATUS", TO_CORE, 0, WORD):
                return None
        words: list[int] = []
        while not words or len(words) <= words[0] >> 8 & 0xFF:
            if not host.poll("MAILBOX.STATUS", FROM_CORE, FROM_CORE, WORD if words else PATIENCE, 200 if words else EVERY):
                return None
            words.append(host.read("MAILBOX.FROM_CORE"))
            host.write("MAILBOX.STATUS", FROM_CORE)
        return words


def _lawful(planes: tuple[int, ...]) -> bool:
    """Whether every cell's number of +1 is that of independent spins in the field of BIAS."""
    p = 1.0 / (1.0 + math.exp(-2.0 * BIAS * LSB_KT))
    counts = [sum(word >> cell & 1 for word in planes) for cell in range(CELLS)]
    return all(abs(n - PLANES * p) <= SIGMAS * math.sqrt(PLANES * p * (1.0 - p)) for n in counts)
