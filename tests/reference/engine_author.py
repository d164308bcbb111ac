"""Random operations on the engines beside the array: learning, ring, ladders, schedule, soft fields."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tsu_contract.program import Opcode
from tsu_contract.registers import REGISTERS, WINDOWS

from .writer import Writer

LEARN_WINDOWS = ("LEARN_PAIR", "LEARN_BIAS", "FREEZE_PAIR", "FREEZE_BIAS")
TERM_MASK, GAIN_ONE = 0xFFF, 1 << 31


class EngineAuthor(Writer):
    """Writes registers and windows of the engines, and programs that make use of them."""

    def write_some(self, window: str) -> None:
        """A word or a burst somewhere in a window."""
        total = self.capabilities.words(WINDOWS[window])
        if not total:
            return
        first = self.rng.randrange(total)
        if self.rng.random() < 0.5:
            self.list.write_word(window, first, int.from_bytes(self.window_bytes(window, first, 1), "little"))
        else:
            words = self.rng.randint(1, total - first)
            self.list.write_burst(window, first, self.window_bytes(window, first, words))

    # Learning.

    def term(self, name: str) -> int:
        """Three factors of PAIR_TERM or BIAS_TERM, the averages often."""
        last = REGISTERS[name].fields["FIRST"].maximum or 0
        averages = 6 if last == 9 else 2
        first, second, third = (self.rng.choice((0, self.rng.randint(1, averages), self.rng.randint(0, last))) for _ in range(3))
        return first | second << 4 | third << 8

    def rate(self) -> int:
        """From a fraction of an accumulator step to more than the range, in two's complement."""
        rng, span = self.rng, 1 << self.capabilities.learn_bits
        few = rng.choice((rng.uniform(-1, 1), rng.uniform(-9, 9), rng.uniform(-0.2, 0.2) * span))
        many = rng.choice((rng.uniform(-1, 1) * span, 32767.9, -32768))
        return rng.choice((int(few * 65536), int(few * 65536), int(many * 65536), 0)) & 0xFFFFFFFF

    def write_rule(self) -> None:
        """One register of the rule, or one of its windows."""
        rng = self.rng
        match rng.randrange(7):
            case 0:
                name = rng.choice(("LEARN.PAIR_TERM", "LEARN.BIAS_TERM"))
                self.list.rmw(name, self.term(name), TERM_MASK, rng.randrange(8))
            case 1:
                self.list.write(rng.choice(("LEARN.PAIR_RATE", "LEARN.BIAS_RATE")), self.rate(), rng.randrange(8))
            case 2:
                mask = rng.randint(1, 7)
                self.list.rmw("LEARN.CTRL", rng.randrange(8) & mask, mask)
            case 3:
                self.list.write("LEARN.GAIN", rng.choice((0, GAIN_ONE, GAIN_ONE - 1, rng.randint(0, GAIN_ONE), 1 << 15)))
                self.list.write("LEARN.DECAY", rng.choice((0, 0xFFFFFFFF, rng.getrandbits(32), rng.getrandbits(26))))
            case 4:
                name = rng.choice(("LEARN.NORM_DATA", "LEARN.NORM_FREE"))
                one = 65536 // self.capabilities.planes
                self.list.write(name, rng.choice((1, 65536, one, rng.randint(1, 65536), rng.randint(1, one))))
            case _:
                self.write_some(rng.choice(LEARN_WINDOWS))

    def set_up_rule(self) -> None:
        """Accumulators, averages and a rule of a few terms."""
        rng = self.rng
        for window in LEARN_WINDOWS:
            if rng.random() < 0.6:
                self.fill_window(window)
        for index in range((self.capabilities.planes + 31) // 32):
            exist = self.existing_planes(index)
            self.list.write("CORR.DATA_PLANES", rng.choice((exist, rng.getrandbits(32) & exist)), index)
            self.list.write("CORR.FREE_PLANES", rng.choice((exist, rng.getrandbits(32) & exist)), index)
        self.list.write("CORR.CTRL", 1)
        self.list.write("CORR.PERIOD", 1)
        for kind in ("PAIR", "BIAS"):
            for k in rng.sample(range(8), rng.choice((0, 1, 1, 2, 2, 3, 8))):
                self.list.write(f"LEARN.{kind}_TERM", self.term(f"LEARN.{kind}_TERM"), k)
                self.list.write(f"LEARN.{kind}_RATE", self.rate(), k)
        self.list.write("LEARN.CTRL", rng.choice((0, 0, 1, 1, 2, 3)))
        for _ in range(3):
            self.write_rule()

    # Examples from host memory.

    def entries_max(self) -> int:
        return self.capabilities.hostmem_words // self.capabilities.dimension("cell_words")

    def write_head(self, entries: int = 0) -> None:
        """Mostly a few entries on from where the ring may be, sometimes anywhere; at its end if it has so many entries."""
        rng = self.rng
        if entries and rng.random() < 0.5:
            self.list.write("DMA.HEAD", entries + rng.randrange(2))
            return
        self.list.write("DMA.HEAD", rng.choice((rng.randint(0, 8), rng.randint(0, 30), rng.randint(0, 90), rng.getrandbits(32))))

    def write_ring(self) -> None:
        """A register of the ring, or its memory."""
        rng = self.rng
        match rng.randrange(10):
            case 0 | 1 | 8 | 9:
                self.write_head()
            case 2:
                self.list.write("DMA.CTRL", rng.choice((0, 1, 2, 2, 3, 4, 5, 6)))
            case 3:
                mask = rng.randint(1, 7)
                self.list.rmw("DMA.CTRL", rng.randrange(8) & mask, mask)
            case 4:
                self.list.write("DMA.BASE", rng.choice((0, 0, rng.randint(0, 9))))
                self.list.write(
                    "DMA.ENTRIES", rng.choice((0, rng.randint(1, 9), max(1, self.entries_max() - 9), rng.getrandbits(32)))
                )
            case 5:
                self.list.write("DMA.LOW", rng.choice((0, rng.randint(1, 5), rng.getrandbits(32))))
            case 6:
                index = rng.randrange((self.capabilities.planes + 31) // 32)
                self.list.write("DMA.PLANES", self.plane_word(index) or self.plane_word(index), index)
            case _:
                self.write_some("HOSTMEM")

    def set_up_ring(self) -> None:
        """Examples, and a ring that mostly lies within HOSTMEM; clamps for them to act on."""
        rng, most = self.rng, self.entries_max()
        self.fill_window("HOSTMEM")
        self.fill_window("CLAMP_MASK")
        base = min(rng.choice((0, 0, rng.randint(1, 3))), self.capabilities.hostmem_words)
        self.list.write("DMA.BASE", base)
        room = max(0, self.capabilities.hostmem_words - base) // self.capabilities.dimension("cell_words")
        some = rng.randint(1, max(1, room))
        entries = rng.choice((room, min(some, 5), some, some, most + rng.randrange(2)))
        self.list.write("DMA.ENTRIES", entries)
        for index in range((self.capabilities.planes + 31) // 32):
            exist = self.existing_planes(index)
            self.list.write("DMA.PLANES", rng.choice((exist, rng.getrandbits(32) & exist, rng.getrandbits(32) & exist)), index)
        self.list.write("DMA.CTRL", rng.choice((0, 1, 1, 2, 4, 4, 6)))
        self.list.write("DMA.LOW", rng.choice((0, rng.randint(1, 9))))
        self.write_head(entries)

    def stall(self) -> None:
        """A program that runs out of examples, and refills, a STOP, or a new ring."""
        rng = self.rng
        words = [Opcode.CLAMP_NEXT << 56 | rng.randint(1, 3), Opcode.RUN << 56 | 1, Opcode.HALT << 56]
        program = words[: self.capabilities.program_words]
        self.list.write("SEQ.CTRL", 2)
        self.list.delay(2 * self.pace)
        self.list.write_burst("PROGRAM", 0, np.array(program, "<u8").tobytes())
        self.list.write("DMA.CTRL", rng.choice((6, 6, 2)))
        self.list.write("SEQ.PC", 0)
        self.list.write("SEQ.CTRL", rng.choice((1, 1, 4)))
        for _ in range(rng.randint(1, 4)):
            self.list.delay(rng.randint(0, self.pace))
            rng.choices(
                (
                    lambda: self.list.write("DMA.HEAD", rng.randint(0, 4)),
                    lambda: self.list.write("DMA.CTRL", rng.choice((0, 1, 2, 3))),
                    lambda: self.list.write("SEQ.CTRL", rng.choice((1, 2, 2, 4))),
                    self.write_ring,
                ),
                (8, 2, 3, 2),
            )[0]()
            self.list.read("SEQ.STATUS")

    # Ladders.

    def write_ladders(self) -> None:
        """Ladders of all planes or of some, sometimes too many; a permutation for them; their counters."""
        rng, planes = self.rng, self.capabilities.planes
        match rng.randrange(4):
            case 0 | 1:
                rungs = rng.choice((2, 3, 4, 5, planes, rng.randint(0, planes + 1)))
                fit = planes // max(1, rungs)
                self.list.write("TEMPERING.RUNGS", rungs)
                self.list.write("TEMPERING.LADDERS", rng.choice((fit, fit, rng.randint(0, fit + 1), 1, 65535)))
            case 2:
                self.fill_window("LADDER")
            case _:
                self.write_some("SWAP_COUNT")

    def set_up_ladders(self) -> None:
        """Ladders, and temperatures so near to each other that some swaps are accepted and others are not."""
        rng, planes = self.rng, self.capabilities.planes
        rungs = min(planes, rng.choice((2, 2, 3, 4, planes)))
        self.list.write("TEMPERING.RUNGS", rungs)
        self.list.write("TEMPERING.LADDERS", max(1, planes // rungs))
        if rng.random() < 0.6:
            self.fill_window("LADDER")
        temps = [rng.randint(3000, 8000) for _ in range(planes)]
        self.list.write_burst("PLANE_TEMP", 0, np.array(temps + [0] * (planes % 2), "<u2").tobytes())

    # Schedule and soft fields.

    def write_schedule(self) -> None:
        """A register of the schedule, or its table."""
        rng, most = self.rng, 2**self.capabilities.temp_bits - 1
        code = rng.choice((1, most, rng.randint(1, most)))
        match rng.randrange(8):
            case 0 | 1:
                self.list.write("TEMP.SCHEDULE", rng.randrange(4))
            case 2:
                self.list.write("TEMP.START", code)
            case 3:
                self.list.write("TEMP.END", code)
            case 4:
                self.list.write("TEMP.LENGTH", rng.choice((1, rng.randint(1, 9), rng.randint(1, 60), rng.randint(1, 2**32 - 1))))
            case 5:
                self.list.write("TEMP.ALPHA", rng.choice((0, rng.getrandbits(17), rng.getrandbits(17), rng.getrandbits(32))))
                self.list.write("TEMP.TAU", rng.choice((1, rng.randint(1, 20), rng.randint(1, 2**32 - 1))))
            case 6:
                self.list.write("TEMP.STEP", rng.choice((0, rng.randint(0, 20), 2**32 - 2)))
            case _:
                self.list.write("TEMP.ENTRIES", rng.choice((1, rng.randint(1, 20), 65536)))
                self.write_some("TEMP_TABLE")

    def set_up_schedule(self) -> None:
        self.fill_window("TEMP_TABLE")
        self.list.write("TEMP.ENTRIES", self.rng.choice((self.capabilities.table_entries, self.rng.randint(1, 70))))
        for _ in range(8):
            self.write_schedule()
        self.list.write("TEMP.SCHEDULE", self.rng.choice((1, 2, 3)))

    def write_soft(self) -> None:
        self.write_some("SOFT")

    # All of them.

    def tour(self) -> None:
        """A program of sweeps and engines, from the start to a HALT if it has room."""
        rng = self.rng
        if rng.random() < 0.3:
            self.set_up_engines()
        count = rng.choice((1, 1, 2, rng.randint(1, 2 * self.capabilities.planes)))
        body = [
            opcode << 56 | (count if opcode == Opcode.CLAMP_NEXT else 0) for opcode in rng.sample(self.engines, len(self.engines))
        ]
        body.insert(rng.randint(0, len(body)), Opcode.RUN << 56 | rng.randint(1, 2))
        ends = [Opcode.STROBE << 56, Opcode.CORR_LATCH << 56, Opcode.HALT << 56]
        whole = [Opcode.LOOP << 56 | rng.randint(0, 4), *body, Opcode.END << 56, *ends]
        size = self.capabilities.program_words
        program = whole if len(whole) <= size else [*body, *body, *ends[2:]][:size]
        self.list.write("SEQ.CTRL", 2)
        self.list.delay(2 * self.pace)
        self.list.write_burst("PROGRAM", 0, np.array(program, "<u8").tobytes())
        self.list.write("SEQ.PC", 0)
        self.list.write("SEQ.CTRL", 1)
        self.list.delay(rng.randint(self.pace, 6 * self.pace))

    def set_up_engines(self) -> None:
        """Those that this list makes use of."""
        for opcode, set_up in self._engine_set_ups().items():
            if opcode in self.engines:
                set_up()
        if self.rng.random() < 0.35:
            self.set_up_schedule()
        if self.rng.random() < 0.35:
            self.fill_window("SOFT")

    def _engine_set_ups(self) -> dict[Opcode, Callable[[], None]]:
        return {Opcode.CLAMP_NEXT: self.set_up_ring, Opcode.LEARN: self.set_up_rule, Opcode.SWAP: self.set_up_ladders}

    def engine_acts(self) -> dict[Callable[[], None], int]:
        """Weights of the acts."""
        clamps, learns, swaps = (opcode in self.engines for opcode in (Opcode.CLAMP_NEXT, Opcode.LEARN, Opcode.SWAP))
        return {
            self.write_rule: 6 if learns else 1, self.write_ring: 6 if clamps else 1, self.stall: 4 if clamps else 0,
            self.write_ladders: 3 if swaps else 1, self.write_schedule: 3, self.write_soft: 2, self.tour: 12,
        }  # fmt: skip
