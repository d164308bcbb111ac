"""Random lists of legal operations."""

from __future__ import annotations

import numpy as np

from tsu_contract.program import Opcode
from tsu_contract.registers import REGISTERS, WINDOWS

from .engine_author import EngineAuthor
from .readout import READ_OFTEN

PERIODS = (1, 1, 1, 2, 3, 5)
STATES = (2, 3, 4)


class Author(EngineAuthor):
    """Writes random operations."""

    def write_window(self) -> None:
        self.write_some(self.rng.choice(("COUPLING", "COUPLING", "BIAS", "BIAS", "CLAMP_MASK", "CLAMP_VALUE", "PLANE_TEMP")))

    def read_window(self) -> None:
        common = ("SPIN", "SPIN", "CORR_PAIR", "CORR_MEAN", "CLAMP_MASK", "PLANE_TEMP", "COUPLING", "PROGRAM")
        window = self.rng.choice((*common, "CLAMP_VALUE", "LEARN_PAIR", "LEARN_BIAS", "SWAP_COUNT", "LADDER"))
        total = self.capabilities.words(WINDOWS[window])
        if not total:
            return
        first = self.rng.randrange(total)
        if self.rng.random() < 0.4:
            self.list.read_word(window, first)
        else:
            self.list.read_burst(window, first, self.rng.randint(1, total - first))

    def read_register(self) -> None:
        name = self.rng.choice(READ_OFTEN)
        if REGISTERS[name].words == 2 and self.rng.random() < 0.15:
            self.list.read(name, high=True)
            return
        self.list.read(name)
        if REGISTERS[name].words == 2 and self.rng.random() < 0.7:
            self.list.read(name, high=True)

    def control(self) -> None:
        self.list.write("SEQ.CTRL", self.rng.choice((1, 1, 1, 1, 2, 2, 2, 4, 4, 3, 5, 6, 7, 0)))

    def write_pc(self) -> None:
        size = self.capabilities.program_words
        self.list.write("SEQ.PC", self.rng.choice((0, 0, self.rng.randrange(size), self.rng.randrange(size), size, 65535)))

    def write_planes(self) -> None:
        name = self.rng.choice(("FABRIC.PLANE_ENABLE", "FABRIC.PLANE_ENABLE", "CORR.DATA_PLANES", "CORR.FREE_PLANES"))
        index = self.rng.randrange((self.capabilities.planes + 31) // 32)
        value = self.plane_word(index)
        if not value and self.rng.random() < 0.6:
            value = self.plane_word(index)
        if self.rng.random() < 0.3:
            self.list.rmw(name, value, self.existing_planes(index), index)
        else:
            self.list.write(name, value, index)

    def write_correlator(self) -> None:
        rng = self.rng
        match rng.randrange(5):
            case 0:
                self.list.write("CORR.CTRL", rng.choice((1, 1, 0, 2, 3, 4, 5, 6, 7, 7)))
            case 1:
                mask = rng.randint(1, 7)
                self.list.rmw("CORR.CTRL", rng.randrange(8) & mask, mask)
            case 2:
                self.list.write("CORR.PERIOD", rng.choice((*PERIODS, 65535)))
                self.list.rmw("FABRIC.SCAN", rng.randrange(3), 3)
            case 3:
                self.list.write("CORR.ALPHA_DATA", rng.choice((1, 65536, rng.randint(1, 65536))))
            case _:
                self.list.rmw("CORR.ALPHA_FREE", rng.choice((1, 65536, rng.randint(1, 65536))), 0x1FFFF)

    def write_interrupts(self) -> None:
        rng = self.rng
        match rng.randrange(5):
            case 0:
                self.list.write("IRQ.PENDING", rng.randrange(128))
            case 1:
                mask = rng.randint(1, 127)
                self.list.rmw("IRQ.PENDING", rng.randrange(128) & mask, mask)
            case 2:
                self.list.write("IRQ.ENABLE", rng.choice((127, 127, rng.randrange(128))))
            case 3:
                self.list.write("IRQ.TEST", rng.choice((1 << rng.randrange(7), rng.randrange(128))))
            case _:
                self.list.write("SYS.ERROR", rng.randrange(32))

    def write_other(self) -> None:
        rng = self.rng
        if rng.random() < 0.4:
            self.write_calibration()
        elif rng.random() < 0.3:
            self.write_converter()
        elif rng.random() < 0.5:
            most = 2**self.capabilities.temp_bits - 1
            self.list.write("TEMP.TDAC", rng.choice((1, most, rng.randint(1, most), rng.randint(1, most))))
        elif rng.random() < 0.5:
            self.list.rmw("SYS.SCRATCH", rng.getrandbits(32), 0xFFFFFFFF)
        else:
            self.list.write("SYS.SCRATCH", rng.getrandbits(32))

    def write_calibration(self) -> None:
        """Trims, memory that is kept, stamp and age limit."""
        rng = self.rng
        match rng.randrange(6):
            case 0:
                self.list.write("CAL.CTRL", rng.randrange(2))
            case 1:
                self.list.write("CAL.LIMIT", rng.choice((0, 1, rng.randint(1, 1000), rng.getrandbits(32))))
            case 2:
                self.write_some("NVM")
            case _:
                self.write_some(rng.choice(("TRIM_OFFSET", "TRIM_SLOPE")))

    def write_converter(self) -> None:
        """Registers of converters that the chip does not have."""
        rng = self.rng
        match rng.randrange(4):
            case 0:
                self.list.write("ADC.MUX", rng.randint(0, 6) | rng.getrandbits(16) << 16)
            case 1:
                self.list.rmw("ADC.MUX", rng.randint(0, 6), 0xF)
            case 2:
                self.list.write(rng.choice(("ADC.ELEMENT", "ADC.PERIOD")), rng.getrandbits(32))
            case _:
                self.list.write("ADC.MODE", rng.randrange(2))

    def wait(self) -> None:
        rng = self.rng
        most = rng.choice((0, rng.randint(0, 10), 2 * self.pace, rng.randint(0, 5 * self.pace), rng.randint(20, 300)))
        energy = rng.choice(("MON.ENERGY_UPDATE", "MON.ENERGY_READ", "MON.ENERGY_WRITE", "MON.ENERGY_WRITE", "MON.ENERGY_LEARN"))
        name, value, mask = rng.choice(
            (
                ("SEQ.STATUS", rng.choice(STATES), 0xFF),
                ("SEQ.STATUS", rng.choice((2, 3)), 0xFF),
                ("FABRIC.STATUS", rng.choice((1, 1, 0)), 1),
                ("IRQ.PENDING", 2, 2),
                ("SEQ.SWEEPS_LEFT", rng.randint(0, 2), 0xFFFFFFFF),
                ("FABRIC.SWEEP", rng.randrange(4), 3),
                ("CORR.COUNT", rng.randrange(4), 3),
                ("SEQ.PC", rng.randrange(8), 7),
                ("MON.PHYS_TIME", rng.randrange(4), 3),
                (energy, rng.randrange(4), 3),
                (rng.choice(("LEARN.UPDATES", "DMA.TAIL", "TEMPERING.SWAPS", "TEMP.STEP")), rng.randrange(4), 3),
            )
        )
        wide = REGISTERS[name].words == 2
        self.list.wait(name, value, mask, most, high=wide and rng.random() < 0.3)
        self.cut(0.7)
        if wide and rng.random() < 0.5:
            self.list.read(name, high=True)

    def pass_time(self) -> None:
        rng = self.rng
        match rng.randrange(4):
            case 0:
                self.list.fence()
            case 1:
                self.list.delay_until(rng.randint(0, self.cycles() + 20))
            case _:
                self.list.delay(
                    rng.choice((0, 1, rng.randint(0, 20), rng.randint(0, 2 * self.pace), rng.randint(0, 6 * self.pace)))
                )

    def reset(self) -> None:
        self.list.write("SYS.CTRL", 1)

    def restart(self) -> None:
        """Run from the program's start, whatever went before, and let it run for a while."""
        if self.rng.random() < 0.2:
            self.reset()
            self.write_planes()
            self.list.write("CORR.CTRL", 1)
            self.list.write("IRQ.ENABLE", 127)
            self.set_up_engines()
        else:
            self.list.write("SEQ.CTRL", 2)
            self.list.wait("SEQ.STATUS", 3, 0xFF, 2 * self.pace)
            self.cut(0.9)
        if self.rng.random() < 0.5:
            self.write_program()
        self.list.write("SEQ.PC", 0)
        self.list.write("SEQ.CTRL", self.rng.choice((1, 1, 1, 4)))
        self.list.delay(self.rng.randint(0, 5 * self.pace))

    def pause(self) -> None:
        """Pause a program, look, go on."""
        self.list.write("SEQ.CTRL", 2)
        self.list.delay(self.rng.randint(0, 2 * self.pace))
        if self.rng.random() < 0.5:
            self.write_window()
        self.list.write("SEQ.CTRL", self.rng.choice((1, 1, 4)))

    def settle(self) -> None:
        """A program that waits for the DACs, and writes that disturb them."""
        size = min(self.capabilities.program_words, 4)
        words = [Opcode.WAIT_SETTLE, Opcode.RUN, Opcode.WAIT_SETTLE, Opcode.HALT][:size]
        program = [word << 56 | (word == Opcode.RUN) for word in words]
        self.list.write_burst("PROGRAM", 0, np.array(program, "<u8").tobytes())
        self.list.write("SEQ.PC", 0)
        for _ in range(self.rng.randint(1, 3)):
            word = self.rng.randrange(self.capabilities.words(WINDOWS["BIAS"]))
            self.list.write_word("BIAS", word, int.from_bytes(self.window_bytes("BIAS", word, 1), "little"))
            self.list.write("SEQ.CTRL", self.rng.choice((0, 1, 1)))
            self.list.delay(self.rng.randint(0, 1 + self.config.timing.settle))
        self.list.read("FABRIC.STATUS")

    def set_up(self) -> None:
        """Codes, temperatures, roles and a program, so that most scenarios do something."""
        self.fill_window("COUPLING")
        self.fill_window("BIAS")
        if self.rng.random() < 0.5:
            self.fill_window("CLAMP_MASK")
            self.fill_window("CLAMP_VALUE")
        if self.rng.random() < 0.5:
            self.fill_window("PLANE_TEMP")
        if self.rng.random() < 0.5:
            self.fill_window("TRIM_OFFSET")
            self.fill_window("TRIM_SLOPE")
        self.write_program()
        for index in range((self.capabilities.planes + 31) // 32):
            self.list.write("CORR.DATA_PLANES", self.plane_word(index), index)
            self.list.write("CORR.FREE_PLANES", self.plane_word(index), index)
        self.list.write("FABRIC.SCAN", self.rng.choice((0, 0, 1, 2, 2)))
        self.list.write("CORR.CTRL", self.rng.choice((0, 1, 1, 1)))
        self.list.write("CORR.PERIOD", self.rng.choice(PERIODS))
        self.list.write("CORR.ALPHA_DATA", self.rng.choice((65536, self.rng.randint(1, 65536))))
        self.list.write("IRQ.ENABLE", self.rng.choice((127, 127, self.rng.randrange(128))))
        if self.rng.random() < 0.5:
            self.list.write("CAL.LIMIT", self.rng.randint(1, 1000))
        self.set_up_engines()
        self.cut(1.0)
        self.list.write("SEQ.CTRL", 1)

    def act(self) -> None:
        """One random operation, sometimes two."""
        acts = {
            self.read_register: 22, self.control: 12, self.wait: 12, self.pass_time: 12, self.write_window: 10,
            self.read_window: 8, self.write_planes: 5, self.write_correlator: 6, self.write_interrupts: 7,
            self.write_other: 5, self.write_pc: 5, self.write_program: 2, self.write_program_word: 2, self.reset: 1,
            self.restart: 10, self.pause: 6, self.settle: 3, **self.engine_acts(),
        }  # fmt: skip
        self.rng.choices(list(acts), list(acts.values()))[0]()
