"""The sequencer of the fake chip: programs run at once, endless ones a round with each operation; no physics, no timing."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from tsu_contract.bits import pack_spins, unpack_spins
from tsu_contract.program import Opcode, disassemble
from tsu_contract.registers import REGISTERS, value_of
from tsu_contract.wire import Interrupt

if TYPE_CHECKING:
    from driver.fake import FakeChip

ENERGY_PER_SWEEP = 2_000_003
"""fJ."""
NEVER = (1 << 32) - 1
DMA_LOW, DMA_UNDERRUN, DMA_OVERRUN = 1 << 5, 1 << 3, 1 << 4


class FakeSequencer:
    """Executes PROGRAM; `more` goes on with a program that runs."""

    def __init__(self, chip: FakeChip) -> None:
        self.chip = chip
        self.loops: list[list[int]] = []
        self.swept = (NEVER, 0)
        self.correlated = (0, (0, 0))

    @property
    def running(self) -> bool:
        return self.chip["SEQ.STATUS"] == value_of("SEQ.STATUS.STATE", "RUNNING")

    def control(self, value: int) -> None:
        """A write of SEQ.CTRL."""
        if value & 1:
            self.enter("RUNNING")
            self.more()
        elif value & 2 and self.running:
            self.enter("STOPPED")

    def enter(self, state: str, cause: str = "NONE") -> None:
        self.chip["SEQ.STATUS"] = value_of("SEQ.STATUS.STATE", state) | value_of("SEQ.STATUS.FAULT", cause) << 8

    def more(self) -> None:
        """Until HALT, a fault, a ring that ran dry, or the end of a round of an endless loop."""
        program = disassemble(self.chip.windows["PROGRAM"])
        while self.running:
            opcode, operand = program[self.chip["SEQ.PC"]]
            if opcode is Opcode.HALT:
                self.loops.clear()
                self.enter("RUNNING" if self.chip.halts_after is not None else "HALTED")
                return
            if opcode is Opcode.SET_T and not operand:
                self.enter("FAULTED", "ILLEGAL")
                return
            if opcode is Opcode.CLAMP_NEXT and not self.clamp_next(operand):
                return
            self.step(opcode, operand)
            self.chip["SEQ.PC"] += 1
            if opcode is Opcode.END and self.jump():
                return

    def step(self, opcode: Opcode, operand: int) -> None:
        chip = self.chip
        match opcode:
            case Opcode.SET_T:
                chip["TEMP.TDAC"] = operand
            case Opcode.RUN if operand:
                self.sweep(operand)
            case Opcode.STROBE:
                chip.windows["SPIN"][:] = pack_spins(chip.spins())
                chip["LEARN.SPIN_VERSION"], chip["LEARN.SPIN_CRC"] = self.swept
            case Opcode.LOOP:
                self.loops.append([chip["SEQ.PC"] + 1, operand])
            case Opcode.IRQ:
                chip.events.append(Interrupt(len(chip.log), chip.time, 2))
            case Opcode.CORR_LATCH:
                self.latch()
            case Opcode.LEARN:
                self.learn()
            case Opcode.SWAP:
                self.swap()

    def jump(self) -> bool:
        """END: back to the start of the loop, or on; whether a round of an endless one is over."""
        start, times = self.loops[-1]
        if times == 1:
            self.loops.pop()
            return False
        self.loops[-1][1] -= times > 0
        self.chip["SEQ.PC"] = start
        return times == 0

    def sweep(self, operand: int) -> None:
        chip = self.chip
        chip.sweeps += operand
        self.swept = chip["LEARN.VERSION"], crc32(chip.windows["BIAS"].tobytes(), crc32(chip.windows["COUPLING"].tobytes()))
        if chip["CORR.CTRL"] & 1:
            first = self.correlated[0] if chip["CORR.COUNT"] else chip["LEARN.VERSION"]
            self.correlated = first, self.swept
            chip["CORR.COUNT"] += operand
        took = operand * chip.capabilities.sweep_time(chip.capabilities.planes, False)
        chip.time += took
        chip.count("MON.PHYS_TIME", took)
        chip.count("MON.ENERGY", operand * ENERGY_PER_SWEEP)

    def latch(self) -> None:
        chip = self.chip
        chip["LEARN.CORR_FIRST"], (chip["LEARN.CORR_VERSION"], chip["LEARN.CORR_CRC"]) = self.correlated

    def learn(self) -> None:
        """Accumulators grow by the rate of term 0, whatever its factors; codes are their upper bits."""
        chip, c = self.chip, self.chip.capabilities
        for kind, codes, bits in (("PAIR", "COUPLING", c.coupling_bits), ("BIAS", "BIAS", c.bias_bits)):
            acc = chip.windows[f"LEARN_{kind}"]
            rate = int(np.int32(np.uint32(chip[f"LEARN.{kind}_RATE"]))) >> 16
            frozen = unpack_spins(chip.windows[f"FREEZE_{kind}"], len(acc)) > 0
            acc[:] = np.where(frozen, acc, acc + rate)
            code = (acc >> c.learn_bits - bits).astype(np.int16)
            chip.windows[codes][:] = code if kind == "BIAS" else code[chip.pair_of]
        chip.count("LEARN.UPDATES", 1)
        chip["LEARN.VERSION"] += 1

    def swap(self) -> None:
        """Rungs 0 and 1 of every ladder exchange their planes."""
        chip = self.chip
        ladder, warm, rungs = chip.windows["LADDER"], chip.windows["PLANE_TEMP"], chip["TEMPERING.RUNGS"]
        for place in range(0, chip["TEMPERING.LADDERS"] * rungs, rungs):
            a, b = int(ladder[place]), int(ladder[place + 1])
            ladder[[place, place + 1]] = b, a
            warm[[a, b]] = warm[[b, a]]
            chip.windows["SWAP_COUNT"][place] += 1
            for role in ("CORR.DATA_PLANES", "CORR.FREE_PLANES"):
                if (chip[role] >> a ^ chip[role] >> b) & 1:
                    chip[role] ^= 1 << a | 1 << b

    def clamp_next(self, wanted: int) -> bool:
        """Examples from the ring; False if it waits for more. Rows of CLAMP_VALUE are one word."""
        chip = self.chip
        cycle, stall, entries = chip["DMA.CTRL"] & 1, chip["DMA.CTRL"] & 2, chip["DMA.ENTRIES"]
        level = wanted if cycle else min((chip["DMA.HEAD"] - chip["DMA.TAIL"]) % (1 << 32), entries)
        if level < wanted and stall:
            return False
        planes = [p for p in range(chip.capabilities.planes) if chip["DMA.PLANES"] >> p & 1]
        count = min(wanted, level)
        for _ in range(count):
            place = chip["DMA.PLACE"] % len(planes)
            chip.windows["CLAMP_VALUE"][planes[place]] = chip.windows["HOSTMEM"][chip["DMA.BASE"] + chip["DMA.TAIL"] % entries]
            chip["DMA.TAIL"], chip["DMA.PLACE"] = chip["DMA.TAIL"] + 1, (place + 1) % len(planes)
        chip["DMA.UNDERRUNS"] += wanted - count
        chip["SYS.ERROR"] |= DMA_UNDERRUN * (count < wanted)
        chip["IRQ.PENDING"] |= DMA_LOW * (not cycle and level - count < chip["DMA.LOW"])
        return True


def written(chip: FakeChip, name: str, value: int) -> int:
    """What is left of a register write, beyond what it does at once: pulses act, w1c bits clear."""
    w1c = REGISTERS[name].mask("w1c")
    if w1c:
        return chip[name] & ~(value & w1c)
    if name == "DMA.CTRL" and value & 4:
        for cleared in ("HEAD", "TAIL", "UNDERRUNS", "PLACE"):
            chip[f"DMA.{cleared}"] = 0
    if name == "DMA.HEAD" and (value - chip["DMA.TAIL"]) % (1 << 32) > chip["DMA.ENTRIES"]:
        chip["SYS.ERROR"] |= DMA_OVERRUN
    return value & ~REGISTERS[name].mask("pulse")
