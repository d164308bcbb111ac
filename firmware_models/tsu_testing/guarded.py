"""The scenario of images/guarded.c: it boots, samples under two biases, and is asked again when it does not answer."""

from __future__ import annotations

import math
from pathlib import Path

from tsu_emu.config import ChipConfig, load
from tsu_testing.campaign import Played
from tsu_testing.host import BITTEN, FAILED, FROM_CORE, TO_CORE, Host

IMAGE = Path(__file__).resolve().parent / "images" / "guarded.elf"
CHANGES = {"cpu.rom_words": "4096", "cpu.ram_words": "1024", "adc.count": "1", "adc.bits": "10"}
BIASES = (40, -10)
CELLS, SAMPLES, LSB_KT = 16, 256, 2.0 / 128
SIGMAS = 6.0
"""A cell's number of +1 may be so many standard deviations from what its bias makes it. In 10^5 numbers that are right, none is
beyond that by chance with a probability of .9998; a cell that is stuck is 9 or more beyond it at biases of .6 kT."""
COMMAND, OK, RETRIED = 0x51, 0x10, 0x20
BOOT, ANSWER, WORD, TRIES = 600_000, 200_000, 20_000, 3
"""Cycles that the host waits for boot, for a command's answer, for a further word of it; how often it asks."""


class Guarded:
    """Scenario; a firmware of the same commands may be tried instead. image : its ELF file."""

    def __init__(self, image: Path = IMAGE) -> None:
        self.image = image

    @property
    def config(self) -> ChipConfig:
        """ideal-16 with a converter and the core."""
        return load("ideal-16", {"cpu.image": str(self.image), **CHANGES})

    def play(self, host: Host) -> Played:
        """Boot and commands; right is what the law of biased spins says, and settings as the last command left them."""
        reports: list[str] = []
        answers = []
        for bias in BIASES if host.ready(BOOT) else ():
            answers.append(self._asked(host, bias, reports))
            if answers[-1] is None:
                break
        boot = host.read("SYS.BOOT")
        if host.read("CPU.STATUS") & BITTEN:
            reports.append("the watchdog has bitten")
        if boot & 0xFF == FAILED:
            reports.append(f"SYS.BOOT is FAILED, {boot >> 8:#x}")
        if len(answers) < len(BIASES) or None in answers:
            return Played(False, tuple(reports), boot & 0xFF == FAILED or "given up" in reports)
        lawful = all(_lawful(counts, bias) for counts, bias in zip(answers, BIASES, strict=True) if counts is not None)
        return Played(lawful and _set(host, BIASES[-1]), tuple(reports))

    def _asked(self, host: Host, bias: int, reports: list[str]) -> list[int] | None:
        """Numbers of +1 by cell; asks again if the answer is none."""
        for _ in range(TRIES):
            host.write("MAILBOX.STATUS", FROM_CORE)
            host.send(COMMAND << 24 | bias & 0xFF)
            words = self._answer(host)
            if words is None:
                reports.append("no answer")
                host.write("MAILBOX.STATUS", TO_CORE)
                if not host.ready(BOOT):
                    return None
                continue
            status = words[0] >> 24
            if status in (OK, RETRIED) and len(words) == CELLS + 2 and sum(words[:-1]) & 0xFFFFFFFF == words[-1]:
                reports += ["tried again"] * (status == RETRIED)
                return words[1:-1]
            reports.append("given up" if status == 0x30 else "an answer that is none")
        return None

    def _answer(self, host: Host) -> list[int] | None:
        header = host.receive(ANSWER)
        if header is None:
            return None
        words = [header]
        for _ in range(min(header & 0xFF, CELLS) + 1):
            word = host.receive(WORD)
            if word is None:
                return None
            words.append(word)
        return words


def _lawful(counts: list[int], bias: int) -> bool:
    """Whether every cell's number is that of independent spins in a field, within SIGMAS."""
    p = 1.0 / (1.0 + math.exp(-2.0 * bias * LSB_KT))
    return all(abs(n - SAMPLES * p) <= SIGMAS * math.sqrt(SAMPLES * p * (1.0 - p)) for n in counts)


def _set(host: Host, bias: int) -> bool:
    """Whether the chip is set as the command leaves it."""
    words = host.words("BIAS", CELLS // 2)
    return set(words) == {(bias & 0xFFFF) * 0x10001} and host.read("TEMP.TDAC") == 64 and host.read("TEMP.SCHEDULE") == 0
