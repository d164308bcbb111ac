"""The register map, number by number: a change here is a change of the contract."""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from typing import Any

import numpy as np
import pytest

from tsu_contract.errors import Code, Failure, Layer, fail
from tsu_contract.operations import RECORD, TIME_MAX, Op
from tsu_contract.program import Opcode
from tsu_contract.registers import (
    MAP_HASH,
    MAP_HASH_WORD,
    REGISTER_SPACE,
    REGISTERS,
    WINDOW_AT,
    WINDOW_STRIDE,
    WINDOWS,
    access_table,
    label_of,
    register,
    value_of,
)

# name: (address, reset, elements, words of an element)
PINNED_REGISTERS = {
    "SYS.ID": (0x0000, 0x75500104, 1, 1),
    "SYS.MAP_HASH": (0x0004, 0x0, 1, 1),
    "SYS.CTRL": (0x0008, 0x0, 1, 1),
    "SYS.ERROR": (0x000C, 0x0, 1, 1),
    "SYS.CYCLE": (0x0010, 0x0, 1, 2),
    "SYS.BOOT": (0x0018, 0x0, 1, 1),
    "SYS.SCRATCH": (0x001C, 0x0, 1, 1),
    "CAP.CELL_KIND": (0x0100, 0x0, 1, 1),
    "CAP.CELLS": (0x0104, 0x0, 1, 1),
    "CAP.COUPLERS": (0x0108, 0x0, 1, 1),
    "CAP.PAIRS": (0x010C, 0x0, 1, 1),
    "CAP.PLANES": (0x0110, 0x0, 1, 1),
    "CAP.COLOURS": (0x0114, 0x0, 1, 1),
    "CAP.CLOCK_HZ": (0x0118, 0x0, 1, 1),
    "CAP.COUPLING_BITS": (0x011C, 0x0, 1, 1),
    "CAP.COUPLING_LSB": (0x0120, 0x0, 1, 1),
    "CAP.BIAS_BITS": (0x0124, 0x0, 1, 1),
    "CAP.BIAS_LSB": (0x0128, 0x0, 1, 1),
    "CAP.TEMP_BITS": (0x012C, 0x0, 1, 1),
    "CAP.TEMP_LSB": (0x0130, 0x0, 1, 1),
    "CAP.PROGRAM_WORDS": (0x0134, 0x0, 1, 1),
    "CAP.LOOP_DEPTH": (0x0138, 0x0, 1, 1),
    "CAP.CORR_FRACTION": (0x013C, 0x0, 1, 1),
    "CAP.SWEEP_CYCLES": (0x0140, 0x0, 1, 1),
    "CAP.COLOUR_CYCLES": (0x0144, 0x0, 1, 1),
    "CAP.SLOT_CYCLES": (0x0148, 0x0, 1, 1),
    "CAP.CORR_CYCLES": (0x014C, 0x0, 1, 1),
    "CAP.INSTRUCTION_CYCLES": (0x0150, 0x0, 1, 1),
    "CAP.STROBE_CYCLES": (0x0154, 0x0, 1, 1),
    "CAP.SETTLE_CYCLES": (0x0158, 0x0, 1, 1),
    "CAP.STATES": (0x015C, 0x0, 1, 1),
    "CAP.TERMS": (0x0160, 0x0, 1, 1),
    "CAP.ADC_COUNT": (0x0164, 0x0, 1, 1),
    "CAP.ADC_BITS": (0x0168, 0x0, 1, 1),
    "CAP.ADC_CYCLES": (0x016C, 0x0, 1, 1),
    "CAP.ADC_ACQUIRE_CYCLES": (0x0170, 0x0, 1, 1),
    "CAP.ADC_BUFFER": (0x0174, 0x0, 1, 1),
    "CAP.ADC_TRIM_OFFSET": (0x0178, 0x0, 1, 1),
    "CAP.ADC_TRIM_GAIN": (0x017C, 0x0, 1, 1),
    "CAP.RANGE_CELL": (0x0180, 0x0, 1, 1),
    "CAP.RANGE_COUPLING": (0x0184, 0x0, 1, 1),
    "CAP.RANGE_BIAS": (0x0188, 0x0, 1, 1),
    "CAP.RANGE_TEMP": (0x018C, 0x0, 1, 1),
    "CAP.LEARN_BITS": (0x0190, 0x0, 1, 1),
    "CAP.LEARN_CYCLES": (0x0194, 0x0, 1, 1),
    "CAP.SWAP_CYCLES": (0x0198, 0x0, 1, 1),
    "CAP.HOSTMEM_WORDS": (0x019C, 0x0, 1, 1),
    "CAP.TABLE_ENTRIES": (0x01A0, 0x0, 1, 1),
    "CAP.TRIM_BITS": (0x01A4, 0x0, 1, 1),
    "CAP.TRIM_OFFSET_LSB": (0x01A8, 0x0, 1, 1),
    "CAP.TRIM_SLOPE_LSB": (0x01AC, 0x0, 1, 1),
    "CAP.NVM_WORDS": (0x01B0, 0x0, 1, 1),
    "CAP.SERIAL_LOW": (0x01B4, 0x0, 1, 1),
    "CAP.SERIAL_HIGH": (0x01B8, 0x0, 1, 1),
    "IRQ.PENDING": (0x0200, 0x0, 1, 1),
    "IRQ.ENABLE": (0x0204, 0x0, 1, 1),
    "IRQ.TEST": (0x0208, 0x0, 1, 1),
    "SEQ.CTRL": (0x0300, 0x0, 1, 1),
    "SEQ.STATUS": (0x0304, 0x0, 1, 1),
    "SEQ.PC": (0x0308, 0x0, 1, 1),
    "SEQ.SWEEPS_LEFT": (0x030C, 0x0, 1, 1),
    "TEMP.TDAC": (0x0400, 0x40, 1, 1),
    "TEMP.SENSOR": (0x0404, 0x0, 1, 1),
    "TEMP.SCHEDULE": (0x0408, 0x0, 1, 1),
    "TEMP.START": (0x040C, 0x40, 1, 1),
    "TEMP.END": (0x0410, 0x40, 1, 1),
    "TEMP.LENGTH": (0x0414, 0x1, 1, 1),
    "TEMP.ALPHA": (0x0418, 0x0, 1, 1),
    "TEMP.TAU": (0x041C, 0x1, 1, 1),
    "TEMP.STEP": (0x0420, 0x0, 1, 1),
    "TEMP.ENTRIES": (0x0424, 0x1, 1, 1),
    "FABRIC.SWEEP": (0x0500, 0x0, 1, 2),
    "FABRIC.STATUS": (0x0508, 0x1, 1, 1),
    "FABRIC.SCAN": (0x050C, 0x0, 1, 1),
    "FABRIC.PLANE_ENABLE": (0x0520, 0xFFFFFFFF, 8, 1),
    "CORR.CTRL": (0x0600, 0x0, 1, 1),
    "CORR.PERIOD": (0x0604, 0x1, 1, 1),
    "CORR.ALPHA_DATA": (0x0608, 0x10000, 1, 1),
    "CORR.ALPHA_FREE": (0x060C, 0x10000, 1, 1),
    "CORR.COUNT": (0x0610, 0x0, 1, 1),
    "CORR.DATA_PLANES": (0x0620, 0x0, 8, 1),
    "CORR.FREE_PLANES": (0x0640, 0x0, 8, 1),
    "ADC.MUX": (0x0700, 0x4, 1, 1),
    "ADC.ELEMENT": (0x0704, 0x0, 1, 1),
    "ADC.PERIOD": (0x0708, 0x0, 1, 1),
    "ADC.MODE": (0x070C, 0x1, 1, 1),
    "ADC.CLIPPED": (0x0710, 0x0, 1, 1),
    "MON.PHYS_TIME": (0x0800, 0x0, 1, 2),
    "MON.ENERGY": (0x0808, 0x0, 1, 2),
    "MON.ENERGY_UPDATE": (0x0810, 0x0, 1, 2),
    "MON.ENERGY_READ": (0x0818, 0x0, 1, 2),
    "MON.ENERGY_WRITE": (0x0820, 0x0, 1, 2),
    "MON.ENERGY_ADC": (0x0828, 0x0, 1, 2),
    "MON.ENERGY_STANDBY": (0x0830, 0x0, 1, 2),
    "MON.ENERGY_LEARN": (0x0838, 0x0, 1, 2),
    "LEARN.CTRL": (0x0900, 0x1, 1, 1),
    "LEARN.GAIN": (0x0904, 0x80000000, 1, 1),
    "LEARN.UPDATES": (0x0908, 0x0, 1, 2),
    "LEARN.DECAY": (0x0910, 0x0, 1, 1),
    "LEARN.NORM_DATA": (0x0914, 0x10000, 1, 1),
    "LEARN.NORM_FREE": (0x0918, 0x10000, 1, 1),
    "LEARN.CLIPPED": (0x0920, 0x0, 1, 1),
    "LEARN.SATURATED": (0x0924, 0x0, 1, 1),
    "LEARN.CHANGED": (0x0928, 0x0, 1, 1),
    "LEARN.VERSION": (0x092C, 0x0, 1, 1),
    "LEARN.SPIN_VERSION": (0x0930, 0x0, 1, 1),
    "LEARN.SPIN_CRC": (0x0934, 0x0, 1, 1),
    "LEARN.CORR_FIRST": (0x0938, 0x0, 1, 1),
    "LEARN.CORR_VERSION": (0x093C, 0x0, 1, 1),
    "LEARN.CORR_CRC": (0x0940, 0x0, 1, 1),
    "LEARN.PAIR_TERM": (0x0960, 0x0, 8, 1),
    "LEARN.PAIR_RATE": (0x0980, 0x0, 8, 1),
    "LEARN.BIAS_TERM": (0x09A0, 0x0, 8, 1),
    "LEARN.BIAS_RATE": (0x09C0, 0x0, 8, 1),
    "DMA.CTRL": (0x0A00, 0x0, 1, 1),
    "DMA.BASE": (0x0A04, 0x0, 1, 1),
    "DMA.ENTRIES": (0x0A08, 0x0, 1, 1),
    "DMA.HEAD": (0x0A0C, 0x0, 1, 1),
    "DMA.TAIL": (0x0A10, 0x0, 1, 1),
    "DMA.UNDERRUNS": (0x0A14, 0x0, 1, 1),
    "DMA.LOW": (0x0A18, 0x0, 1, 1),
    "DMA.PLACE": (0x0A1C, 0x0, 1, 1),
    "DMA.PLANES": (0x0A20, 0x0, 8, 1),
    "TEMPERING.LADDERS": (0x0B00, 0x0, 1, 1),
    "TEMPERING.RUNGS": (0x0B04, 0x0, 1, 1),
    "TEMPERING.SWAPS": (0x0B08, 0x0, 1, 2),
    "CAL.CTRL": (0x0C00, 0x0, 1, 1),
    "CAL.STATUS": (0x0C04, 0x0, 1, 1),
    "CAL.AGE": (0x0C08, 0x0, 1, 2),
    "CAL.LIMIT": (0x0C10, 0x0, 1, 1),
    "CPU.CTRL": (0x0D00, 0x0, 1, 1),
    "CPU.STATUS": (0x0D04, 0x0, 1, 1),
    "CPU.PC": (0x0D08, 0x0, 1, 1),
    "CPU.IRQ_ENABLE": (0x0D0C, 0x0, 1, 1),
    "TIMER.COMPARE_LOW": (0x0E00, 0xFFFFFFFF, 1, 1),
    "TIMER.COMPARE_HIGH": (0x0E04, 0xFFFFFFFF, 1, 1),
    "WATCHDOG.PERIOD": (0x0F00, 0x0, 1, 1),
    "MAILBOX.TO_CORE": (0x1000, 0x0, 1, 1),
    "MAILBOX.FROM_CORE": (0x1004, 0x0, 1, 1),
    "MAILBOX.STATUS": (0x1008, 0x0, 1, 1),
}

# name: (low bit, width, access, minimum, maximum)
PINNED_FIELDS = {
    "SYS.ID.MINOR": (0, 8, "r", None, None),
    "SYS.ID.MAJOR": (8, 8, "r", None, None),
    "SYS.ID.MAGIC": (16, 16, "r", None, None),
    "SYS.MAP_HASH.HASH": (0, 32, "r", None, None),
    "SYS.CTRL.RESET": (0, 1, "pulse", None, None),
    "SYS.ERROR.SEQ_FAULT": (0, 1, "w1c", None, None),
    "SYS.ERROR.START_BUSY": (1, 1, "w1c", None, None),
    "SYS.ERROR.UNSTABLE": (2, 1, "w1c", None, None),
    "SYS.ERROR.DMA_UNDERRUN": (3, 1, "w1c", None, None),
    "SYS.ERROR.DMA_OVERRUN": (4, 1, "w1c", None, None),
    "SYS.CYCLE.COUNT": (0, 64, "r", None, None),
    "SYS.BOOT.STAGE": (0, 8, "r", None, None),
    "SYS.BOOT.DETAIL": (8, 24, "r", None, None),
    "SYS.SCRATCH.VALUE": (0, 32, "rw", None, None),
    "CAP.CELL_KIND.KIND": (0, 8, "r", None, None),
    "CAP.CELLS.COUNT": (0, 32, "r", None, None),
    "CAP.COUPLERS.COUNT": (0, 32, "r", None, None),
    "CAP.PAIRS.COUNT": (0, 32, "r", None, None),
    "CAP.PLANES.COUNT": (0, 32, "r", None, None),
    "CAP.COLOURS.COUNT": (0, 32, "r", None, None),
    "CAP.CLOCK_HZ.RATE": (0, 32, "r", None, None),
    "CAP.COUPLING_BITS.BITS": (0, 8, "r", None, None),
    "CAP.COUPLING_LSB.LSB": (0, 32, "r", None, None),
    "CAP.BIAS_BITS.BITS": (0, 8, "r", None, None),
    "CAP.BIAS_LSB.LSB": (0, 32, "r", None, None),
    "CAP.TEMP_BITS.BITS": (0, 8, "r", None, None),
    "CAP.TEMP_LSB.LSB": (0, 32, "r", None, None),
    "CAP.PROGRAM_WORDS.WORDS": (0, 32, "r", None, None),
    "CAP.LOOP_DEPTH.DEPTH": (0, 32, "r", None, None),
    "CAP.CORR_FRACTION.BITS": (0, 8, "r", None, None),
    "CAP.SWEEP_CYCLES.CYCLES": (0, 32, "r", None, None),
    "CAP.COLOUR_CYCLES.CYCLES": (0, 32, "r", None, None),
    "CAP.SLOT_CYCLES.CYCLES": (0, 32, "r", None, None),
    "CAP.CORR_CYCLES.CYCLES": (0, 32, "r", None, None),
    "CAP.INSTRUCTION_CYCLES.CYCLES": (0, 32, "r", None, None),
    "CAP.STROBE_CYCLES.CYCLES": (0, 32, "r", None, None),
    "CAP.SETTLE_CYCLES.CYCLES": (0, 32, "r", None, None),
    "CAP.STATES.COUNT": (0, 8, "r", None, None),
    "CAP.TERMS.COUNT": (0, 8, "r", None, None),
    "CAP.ADC_COUNT.COUNT": (0, 32, "r", None, None),
    "CAP.ADC_BITS.BITS": (0, 8, "r", None, None),
    "CAP.ADC_CYCLES.CYCLES": (0, 32, "r", None, None),
    "CAP.ADC_ACQUIRE_CYCLES.CYCLES": (0, 32, "r", None, None),
    "CAP.ADC_BUFFER.SAMPLES": (0, 32, "r", None, None),
    "CAP.ADC_TRIM_OFFSET.STEP": (0, 32, "r", None, None),
    "CAP.ADC_TRIM_GAIN.STEP": (0, 32, "r", None, None),
    "CAP.RANGE_CELL.RANGE": (0, 32, "r", None, None),
    "CAP.RANGE_COUPLING.RANGE": (0, 32, "r", None, None),
    "CAP.RANGE_BIAS.RANGE": (0, 32, "r", None, None),
    "CAP.RANGE_TEMP.RANGE": (0, 32, "r", None, None),
    "CAP.LEARN_BITS.BITS": (0, 8, "r", None, None),
    "CAP.LEARN_CYCLES.CYCLES": (0, 32, "r", None, None),
    "CAP.SWAP_CYCLES.CYCLES": (0, 32, "r", None, None),
    "CAP.HOSTMEM_WORDS.WORDS": (0, 32, "r", None, None),
    "CAP.TABLE_ENTRIES.ENTRIES": (0, 32, "r", None, None),
    "CAP.TRIM_BITS.BITS": (0, 8, "r", None, None),
    "CAP.TRIM_OFFSET_LSB.STEP": (0, 32, "r", None, None),
    "CAP.TRIM_SLOPE_LSB.STEP": (0, 32, "r", None, None),
    "CAP.NVM_WORDS.WORDS": (0, 32, "r", None, None),
    "CAP.SERIAL_LOW.NUMBER": (0, 32, "r", None, None),
    "CAP.SERIAL_HIGH.NUMBER": (0, 32, "r", None, None),
    "IRQ.PENDING.SEQ_DONE": (0, 1, "w1c", None, None),
    "IRQ.PENDING.SEQ_IRQ": (1, 1, "w1c", None, None),
    "IRQ.PENDING.SEQ_FAULT": (2, 1, "w1c", None, None),
    "IRQ.PENDING.SEQ_STOPPED": (3, 1, "w1c", None, None),
    "IRQ.PENDING.BOOT": (4, 1, "w1c", None, None),
    "IRQ.PENDING.DMA_LOW": (5, 1, "w1c", None, None),
    "IRQ.PENDING.STALE": (6, 1, "w1c", None, None),
    "IRQ.PENDING.MAILBOX": (7, 1, "w1c", None, None),
    "IRQ.ENABLE.MASK": (0, 8, "rw", None, None),
    "IRQ.TEST.SET": (0, 8, "w", None, None),
    "SEQ.CTRL.START": (0, 1, "pulse", None, None),
    "SEQ.CTRL.STOP": (1, 1, "pulse", None, None),
    "SEQ.CTRL.STEP": (2, 1, "pulse", None, None),
    "SEQ.STATUS.STATE": (0, 8, "r", None, None),
    "SEQ.STATUS.FAULT": (8, 8, "r", None, None),
    "SEQ.PC.INDEX": (0, 16, "rw", None, None),
    "SEQ.SWEEPS_LEFT.COUNT": (0, 32, "r", None, None),
    "TEMP.TDAC.CODE": (0, 12, "rw", 1, 4095),
    "TEMP.SENSOR.KELVIN": (0, 16, "r", None, None),
    "TEMP.SCHEDULE.MODE": (0, 2, "rw", None, None),
    "TEMP.START.CODE": (0, 12, "rw", 1, 4095),
    "TEMP.END.CODE": (0, 12, "rw", 1, 4095),
    "TEMP.LENGTH.SWEEPS": (0, 32, "rw", 1, 4294967295),
    "TEMP.ALPHA.ALPHA": (0, 32, "rw", None, None),
    "TEMP.TAU.SWEEPS": (0, 32, "rw", 1, 4294967295),
    "TEMP.STEP.COUNT": (0, 32, "rw", None, None),
    "TEMP.ENTRIES.COUNT": (0, 17, "rw", 1, 65536),
    "FABRIC.SWEEP.COUNT": (0, 64, "r", None, None),
    "FABRIC.STATUS.SETTLED": (0, 1, "r", None, None),
    "FABRIC.SCAN.ORDER": (0, 2, "rw", 0, 2),
    "FABRIC.PLANE_ENABLE.PLANES": (0, 32, "rw", None, None),
    "CORR.CTRL.ENABLE": (0, 1, "rw", None, None),
    "CORR.CTRL.CLEAR": (1, 1, "pulse", None, None),
    "CORR.CTRL.LATCH": (2, 1, "pulse", None, None),
    "CORR.PERIOD.SWEEPS": (0, 16, "rw", 1, 65535),
    "CORR.ALPHA_DATA.A": (0, 17, "rw", 1, 65536),
    "CORR.ALPHA_FREE.A": (0, 17, "rw", 1, 65536),
    "CORR.COUNT.COUNT": (0, 32, "r", None, None),
    "CORR.DATA_PLANES.PLANES": (0, 32, "rw", None, None),
    "CORR.FREE_PLANES.PLANES": (0, 32, "rw", None, None),
    "ADC.MUX.SOURCE": (0, 4, "rw", 0, 6),
    "ADC.MUX.CONVERTER": (16, 16, "rw", None, None),
    "ADC.ELEMENT.INDEX": (0, 32, "rw", None, None),
    "ADC.PERIOD.CYCLES": (0, 32, "rw", None, None),
    "ADC.MODE.HOLD": (0, 1, "rw", None, None),
    "ADC.CLIPPED.COUNT": (0, 32, "r", None, None),
    "MON.PHYS_TIME.COUNT": (0, 64, "r", None, None),
    "MON.ENERGY.COUNT": (0, 64, "r", None, None),
    "MON.ENERGY_UPDATE.COUNT": (0, 64, "r", None, None),
    "MON.ENERGY_READ.COUNT": (0, 64, "r", None, None),
    "MON.ENERGY_WRITE.COUNT": (0, 64, "r", None, None),
    "MON.ENERGY_ADC.COUNT": (0, 64, "r", None, None),
    "MON.ENERGY_STANDBY.COUNT": (0, 64, "r", None, None),
    "MON.ENERGY_LEARN.COUNT": (0, 64, "r", None, None),
    "LEARN.CTRL.ROUND_WEIGHT": (0, 1, "rw", None, None),
    "LEARN.CTRL.ROUND_CODE": (1, 1, "rw", None, None),
    "LEARN.CTRL.CLEAR": (2, 1, "pulse", None, None),
    "LEARN.GAIN.GAIN": (0, 32, "rw", 0, 2147483648),
    "LEARN.UPDATES.COUNT": (0, 64, "r", None, None),
    "LEARN.DECAY.DECAY": (0, 32, "rw", None, None),
    "LEARN.NORM_DATA.NORM": (0, 17, "rw", 1, 65536),
    "LEARN.NORM_FREE.NORM": (0, 17, "rw", 1, 65536),
    "LEARN.CLIPPED.COUNT": (0, 32, "r", None, None),
    "LEARN.SATURATED.COUNT": (0, 32, "r", None, None),
    "LEARN.CHANGED.COUNT": (0, 32, "r", None, None),
    "LEARN.VERSION.NUMBER": (0, 32, "r", None, None),
    "LEARN.SPIN_VERSION.NUMBER": (0, 32, "r", None, None),
    "LEARN.SPIN_CRC.CRC": (0, 32, "r", None, None),
    "LEARN.CORR_FIRST.NUMBER": (0, 32, "r", None, None),
    "LEARN.CORR_VERSION.NUMBER": (0, 32, "r", None, None),
    "LEARN.CORR_CRC.CRC": (0, 32, "r", None, None),
    "LEARN.PAIR_TERM.FIRST": (0, 4, "rw", 0, 9),
    "LEARN.PAIR_TERM.SECOND": (4, 4, "rw", 0, 9),
    "LEARN.PAIR_TERM.THIRD": (8, 4, "rw", 0, 9),
    "LEARN.PAIR_RATE.RATE": (0, 32, "rw", None, None),
    "LEARN.BIAS_TERM.FIRST": (0, 4, "rw", 0, 5),
    "LEARN.BIAS_TERM.SECOND": (4, 4, "rw", 0, 5),
    "LEARN.BIAS_TERM.THIRD": (8, 4, "rw", 0, 5),
    "LEARN.BIAS_RATE.RATE": (0, 32, "rw", None, None),
    "DMA.CTRL.CYCLE": (0, 1, "rw", None, None),
    "DMA.CTRL.STALL": (1, 1, "rw", None, None),
    "DMA.CTRL.RESET": (2, 1, "pulse", None, None),
    "DMA.BASE.WORD": (0, 32, "rw", None, None),
    "DMA.ENTRIES.ENTRIES": (0, 32, "rw", None, None),
    "DMA.HEAD.COUNT": (0, 32, "rw", None, None),
    "DMA.TAIL.COUNT": (0, 32, "r", None, None),
    "DMA.UNDERRUNS.COUNT": (0, 32, "r", None, None),
    "DMA.LOW.ENTRIES": (0, 32, "rw", None, None),
    "DMA.PLACE.INDEX": (0, 16, "r", None, None),
    "DMA.PLANES.PLANES": (0, 32, "rw", None, None),
    "TEMPERING.LADDERS.COUNT": (0, 16, "rw", None, None),
    "TEMPERING.RUNGS.COUNT": (0, 16, "rw", None, None),
    "TEMPERING.SWAPS.COUNT": (0, 64, "r", None, None),
    "CAL.CTRL.STAMP": (0, 1, "pulse", None, None),
    "CAL.STATUS.STALE": (0, 1, "r", None, None),
    "CAL.STATUS.STAMPED": (1, 1, "r", None, None),
    "CAL.AGE.COUNT": (0, 64, "r", None, None),
    "CAL.LIMIT.CYCLES": (0, 32, "rw", None, None),
    "CPU.CTRL.HOLD": (0, 1, "rw", None, None),
    "CPU.STATUS.PRESENT": (0, 1, "r", None, None),
    "CPU.STATUS.ASLEEP": (1, 1, "r", None, None),
    "CPU.STATUS.BITTEN": (2, 1, "r", None, None),
    "CPU.PC.PC": (0, 32, "r", None, None),
    "CPU.IRQ_ENABLE.MASK": (0, 8, "r", None, None),
    "TIMER.COMPARE_LOW.CYCLES": (0, 32, "r", None, None),
    "TIMER.COMPARE_HIGH.CYCLES": (0, 32, "r", None, None),
    "WATCHDOG.PERIOD.CYCLES": (0, 32, "r", None, None),
    "MAILBOX.TO_CORE.VALUE": (0, 32, "rw", None, None),
    "MAILBOX.FROM_CORE.VALUE": (0, 32, "r", None, None),
    "MAILBOX.STATUS.TO_CORE": (0, 1, "w1c", None, None),
    "MAILBOX.STATUS.FROM_CORE": (1, 1, "w1c", None, None),
}

# name: (base, access, element, shape, cost class, least and greatest element)
PINNED_WINDOWS = {
    "PROGRAM": (0x04000000, "rw", "<u8", ("program_words",), "beat", None, None),
    "COUPLING": (0x08000000, "rw", "<i2", ("couplers",), "dac_beat", "coupling_code_min", "coupling_code_max"),
    "BIAS": (0x0C000000, "rw", "<i2", ("bias_terms",), "dac_beat", "bias_code_min", "bias_code_max"),
    "CLAMP_MASK": (0x10000000, "rw", "<u4", ("planes", "cell_words"), "beat", None, None),
    "CLAMP_VALUE": (0x14000000, "rw", "<u4", ("planes", "spin_words"), "beat", None, None),
    "SPIN": (0x18000000, "r", "<u4", ("planes", "spin_words"), "scan_beat", None, None),
    "CORR_PAIR": (0x1C000000, "r", "<i4", ("roles", "pairs"), "beat", None, None),
    "CORR_MEAN": (0x20000000, "r", "<i4", ("roles", "cells"), "beat", None, None),
    "PLANE_TEMP": (0x24000000, "rw", "<u2", ("planes",), "beat", "1", "65535"),
    "TOPO_ROW": (0x28000000, "r", "<u4", ("cells_plus_1",), "beat", None, None),
    "TOPO_SOURCE": (0x2C000000, "r", "<u4", ("couplers",), "beat", None, None),
    "TOPO_COLOUR": (0x30000000, "r", "<u2", ("cells",), "beat", None, None),
    "TOPO_POSITION": (0x34000000, "r", "<i2", ("cells", "axes"), "beat", None, None),
    "STATE": (0x38000000, "r", "|u1", ("planes", "state_cells"), "scan_beat", None, None),
    "VALUE": (0x3C000000, "r", "<u2", ("planes", "value_cells"), "beat", None, None),
    "PIN": (0x40000000, "rw", "<i2", ("planes", "pin_cells"), "beat", "pin_min", "pin_max"),
    "ADC_DATA": (0x44000000, "r", "<u2", ("adc_samples",), "beat", None, None),
    "ADC_TRIM": (0x48000000, "rw", "<i2", ("adc_count", "trims"), "dac_beat", "trim_min", "trim_max"),
    "TEMP_TABLE": (0x4C000000, "rw", "<u2", ("table_entries",), "beat", "1", "temp_code_max"),
    "LEARN_PAIR": (0x50000000, "rw", "<i4", ("learn_pairs",), "beat", "learn_min", "learn_max"),
    "LEARN_BIAS": (0x54000000, "rw", "<i4", ("learn_cells",), "beat", "learn_min", "learn_max"),
    "FREEZE_PAIR": (0x58000000, "rw", "<u4", ("learn_pair_words",), "beat", None, None),
    "FREEZE_BIAS": (0x5C000000, "rw", "<u4", ("learn_cell_words",), "beat", None, None),
    "HOSTMEM": (0x60000000, "rw", "<u4", ("hostmem_words",), "beat", None, None),
    "LADDER": (0x64000000, "rw", "<u2", ("spin_planes",), "beat", "0", "plane_max"),
    "SWAP_COUNT": (0x68000000, "rw", "<u4", ("spin_planes", "swap_counts"), "beat", None, None),
    "SOFT": (0x6C000000, "rw", "<i2", ("planes", "soft_cells"), "beat", "bias_code_min", "bias_code_max"),
    "TRIM_OFFSET": (0x70000000, "rw", "<i2", ("trim_cells",), "dac_beat", "trim_code_min", "trim_code_max"),
    "TRIM_SLOPE": (0x74000000, "rw", "<i2", ("trim_cells",), "dac_beat", "trim_code_min", "trim_code_max"),
    "NVM": (0x78000000, "rw", "<u4", ("nvm_words",), "beat", None, None),
}

PAIR_FACTORS = {
    "ONE": 0,
    "C_DATA": 1,
    "C_FREE": 2,
    "M_DATA_I": 3,
    "M_DATA_J": 4,
    "M_FREE_I": 5,
    "M_FREE_J": 6,
    "WEIGHT": 7,
    "CODE": 8,
    "RANDOM": 9,
}
BIAS_FACTORS = {"ONE": 0, "M_DATA": 1, "M_FREE": 2, "WEIGHT": 3, "CODE": 4, "RANDOM": 5}

PINNED_VALUES = {
    "SYS.BOOT.STAGE": {"RESET": 0, "SELFTEST": 1, "READY": 2, "FAILED": 3},
    "CAP.CELL_KIND.KIND": {"PBIT_CLOCKED": 1, "PBIT_ASYNC": 2, "PDIT": 3, "GAUSSIAN": 4, "MIXTURE": 5, "LANGEVIN": 6},
    "SEQ.STATUS.STATE": {"IDLE": 0, "RUNNING": 1, "HALTED": 2, "STOPPED": 3, "FAULTED": 4},
    "FABRIC.SCAN.ORDER": {"CHROMATIC": 0, "PALINDROMIC": 1, "RANDOM": 2},
    "SEQ.STATUS.FAULT": {
        "NONE": 0,
        "ILLEGAL": 1,
        "LOOP_OVERFLOW": 2,
        "LOOP_UNDERFLOW": 3,
        "PC_OVERRUN": 4,
        "DMA_RING": 5,
        "LADDER": 6,
    },
    "TEMP.SCHEDULE.MODE": {"OFF": 0, "LINEAR": 1, "LOGARITHMIC": 2, "TABLE": 3},
    "ADC.MUX.SOURCE": {
        "CELL": 0,
        "COUPLING_DAC": 1,
        "BIAS_DAC": 2,
        "TEMP_DAC": 3,
        "REF_LOW": 4,
        "REF_HIGH": 5,
        "EXTERNAL": 6,
    },
    **{f"LEARN.PAIR_TERM.{place}": PAIR_FACTORS for place in ("FIRST", "SECOND", "THIRD")},
    **{f"LEARN.BIAS_TERM.{place}": BIAS_FACTORS for place in ("FIRST", "SECOND", "THIRD")},
}

PINNED_CODES = {
    "OK": 0,
    "BAD_FRAMES": 100,
    "BAD_HEADER": 101,
    "BAD_VERSION": 102,
    "TOO_LARGE": 103,
    "UNKNOWN_SESSION": 200,
    "BAD_SEQUENCE": 201,
    "SEQUENCE_EVICTED": 202,
    "MAP_MISMATCH": 203,
    "BUSY": 204,
    "LEASED": 205,
    "FORBIDDEN": 206,
    "SESSION_CUT": 207,
    "NOT_KEPT": 208,
    "BAD_OPERATION": 300,
    "BAD_CHIP": 301,
    "UNMAPPED": 302,
    "MISALIGNED": 303,
    "READ_ONLY": 304,
    "WRITE_ONLY": 305,
    "RESERVED_BITS": 306,
    "OUT_OF_RANGE": 307,
    "SPLIT_FIELD": 308,
    "BAD_PAYLOAD": 309,
    "UNPOPULATED": 310,
    "FREE_RUNNING": 311,
    "WAIT_TIMEOUT": 400,
    "BUS_ERROR": 401,
}

PINNED_OPERATIONS = {
    "READ": 1,
    "WRITE": 2,
    "RMW": 3,
    "BLKRD": 4,
    "BLKWR": 5,
    "WAIT": 6,
    "DELAY": 7,
    "DELAY_UNTIL": 8,
    "FENCE": 9,
}

PINNED_OPCODES = {
    "HALT": 0,
    "SET_T": 1,
    "RUN": 2,
    "STROBE": 3,
    "CORR_LATCH": 4,
    "LOOP": 5,
    "END": 6,
    "WAIT_SETTLE": 7,
    "DELAY": 8,
    "IRQ": 9,
    "ADC_SCAN": 10,
    "ADC_CAPTURE": 11,
    "CLAMP_NEXT": 12,
    "LEARN": 13,
    "SWAP": 14,
}

# name: (offset, bytes)
PINNED_RECORD = {"op": (0, 1), "flags": (1, 1), "chip": (2, 2), "addr": (4, 4), "value": (8, 4), "mask": (12, 4), "arg": (16, 8)}

PINNED_FREE_RUNNING = {"CAL.AGE", "CPU.PC", "SYS.CYCLE", "TEMP.SENSOR", "MON.ENERGY", "MON.ENERGY_STANDBY"}

TABLE: dict[str, Any] = json.loads(resources.files("tsu_contract").joinpath("map/tsu.json").read_text(encoding="utf-8"))


def test_every_register_has_its_pinned_address_and_reset() -> None:
    assert {r.name: (r.address, r.reset, r.count, r.words) for r in REGISTERS.values()} == PINNED_REGISTERS


def test_every_field_has_its_pinned_bits_and_access() -> None:
    found = {
        f"{r.name}.{f.name}": (f.low, f.width, f.access, f.minimum, f.maximum)
        for r in REGISTERS.values()
        for f in r.fields.values()
    }
    assert found == PINNED_FIELDS


def test_every_enumerated_value_has_its_pinned_number() -> None:
    found = {f"{r.name}.{f.name}": f.values for r in REGISTERS.values() for f in r.fields.values() if f.values}
    assert found == PINNED_VALUES


def test_registers_that_change_between_edges_are_pinned() -> None:
    assert {r.name for r in REGISTERS.values() if r.free_running} == PINNED_FREE_RUNNING


def test_every_window_has_its_pinned_base_and_layout() -> None:
    found = {w.name: (w.address, w.access, w.dtype.str, w.shape, w.cost, w.minimum, w.maximum) for w in WINDOWS.values()}
    assert found == PINNED_WINDOWS


def test_windows_lie_at_multiples_of_the_stride_above_the_registers() -> None:
    assert (REGISTER_SPACE, WINDOW_STRIDE) == (0x10000, 0x04000000)
    assert {w.size for w in WINDOWS.values()} == {WINDOW_STRIDE}
    assert {k: w.name for k, w in WINDOW_AT.items()} == dict(enumerate(PINNED_WINDOWS, start=1))


def test_error_codes_have_their_pinned_numbers() -> None:
    assert {c.name: c.value for c in Code} == PINNED_CODES


def test_hundreds_of_a_code_give_its_layer() -> None:
    layers = {1: Layer.TRANSPORT, 2: Layer.SESSION, 3: Layer.BUS, 4: Layer.DEVICE}
    assert {c: c.layer for c in Code if c} == {c: layers[c.value // 100] for c in Code if c}
    assert [layer.value for layer in Layer] == ["transport", "session", "bus", "device"]


def test_fail_carries_a_failure_that_names_everything() -> None:
    error = fail(Code.READ_ONLY, "no", 3, 0x304, "SEQ.STATUS")
    assert error.failure == Failure(Code.READ_ONLY, "no", 3, 0x304, "SEQ.STATUS")
    assert (str(error), error.failure.layer) == ("no", Layer.BUS)


def test_operations_and_opcodes_have_their_pinned_numbers() -> None:
    assert {o.name: o.value for o in Op} == PINNED_OPERATIONS
    assert {o.name: o.value for o in Opcode} == PINNED_OPCODES
    assert TIME_MAX == 1 << 62


def test_record_has_its_pinned_layout() -> None:
    assert {name: (spec[1], spec[0].itemsize) for name, spec in (RECORD.fields or {}).items()} == PINNED_RECORD
    assert RECORD.itemsize == 24
    assert all(RECORD[name].byteorder in "|<=" for name in PINNED_RECORD)


def test_map_hash_is_the_hash_of_the_canonical_table() -> None:
    """As docs/protocol.md has it: the table as JSON with sorted keys and no white space."""
    text = json.dumps(TABLE, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode("utf-8")).hexdigest() == MAP_HASH
    assert bytes.fromhex(MAP_HASH)[:4] == MAP_HASH_WORD.to_bytes(4, "big")


def test_map_is_ascii_so_that_canonical_json_is_one_thing_in_every_language() -> None:
    assert json.dumps(TABLE, ensure_ascii=False).isascii()


def test_map_hash_ignores_order_of_keys_and_notices_a_changed_number() -> None:
    turned = {key: TABLE[key] for key in reversed(list(TABLE))}
    changed = json.loads(json.dumps(TABLE))
    changed["registers"][0]["address"] += 4
    hashes = [
        hashlib.sha256(json.dumps(t, sort_keys=True, separators=(",", ":")).encode()).hexdigest() for t in (turned, changed)
    ]
    assert hashes[0] == MAP_HASH != hashes[1]


def _expected_words() -> dict[int, dict[str, int]]:
    """Rules of every mapped word, bit by bit from the JSON; the key is the word's address."""
    words: dict[int, dict[str, int]] = {}
    for row in TABLE["registers"]:
        for element in range(row["count"]):
            for half in range(row["words"]):
                rule = dict.fromkeys(("reset", "read", "write", "w1c", "pulse", "firmware"), 0)
                for f in row["fields"]:
                    for bit in range(f["width"]):
                        place = f["low"] + bit - 32 * half
                        if not 0 <= place < 32:
                            continue
                        rule["reset"] |= (f["reset"] >> bit & 1) << place
                        rule["read"] |= (f["access"] in ("r", "rw", "w1c")) << place
                        rule["write"] |= (f["access"] in ("rw", "w")) << place
                        rule["w1c"] |= (f["access"] == "w1c") << place
                        rule["pulse"] |= (f["access"] == "pulse") << place
                        rule["firmware"] |= (f["access"] == "r" and row["firmware_write"]) << place
                rule["latch"] = 0 if row["words"] == 1 else 1 + half
                rule["free_running"] = int(row["free_running"])
                rule["per_plane"] = int(row["per_plane"])
                words[row["address"] + 4 * (row["words"] * element + half)] = rule
    return words


def test_access_table_has_the_rules_of_the_json_word_by_word() -> None:
    table, expected = access_table(), _expected_words()
    found = {}
    for word, address in enumerate(table.address.tolist()):
        found[address] = {name: int(getattr(table, name)[word]) for name in next(iter(expected.values()))}
    assert found == expected


def test_access_table_decodes_mapped_words_and_nothing_else() -> None:
    table, expected = access_table(), _expected_words()
    assert table.decode.shape == (REGISTER_SPACE // 4,)
    mapped = {4 * int(k): int(table.decode[k]) for k in np.flatnonzero(table.decode >= 0)}
    assert mapped == {address: word for word, address in enumerate(table.address.tolist())}
    assert set(mapped) == set(expected)


def test_access_table_names_each_word_after_its_register() -> None:
    table = access_table()
    owner = {row["address"] + 4 * k: row["name"] for row in TABLE["registers"] for k in range(row["count"] * row["words"])}
    assert {int(a): table.names[int(r)] for a, r in zip(table.address, table.register, strict=True)} == owner


def test_access_table_lists_every_range_and_every_writable_field() -> None:
    table = access_table()
    ranges, fields = set(), set()
    for row in TABLE["registers"]:
        for element in range(row["count"]):
            word = int(table.decode[(row["address"] + 4 * element * row["words"]) // 4])
            for f in row["fields"]:
                mask = ((1 << f["width"]) - 1) << f["low"]
                if f["access"] != "r":
                    fields.add((word, mask))
                if f["max"] is not None:
                    ranges.add((word, f["low"], mask, f["min"], f["max"]))
    assert {tuple(row) for row in table.ranges.tolist()} == ranges
    assert {tuple(row) for row in table.fields.tolist()} == fields
    assert len(table.fields) == len(fields)


def test_no_fields_of_a_register_overlap_and_all_fit() -> None:
    for reg in REGISTERS.values():
        taken = 0
        for f in reg.fields.values():
            assert not taken & f.mask, f"{reg.name}.{f.name}"
            taken |= f.mask
        assert taken < 1 << 32 * reg.words


def test_register_array_elements_follow_one_another_and_end() -> None:
    planes = register("FABRIC.PLANE_ENABLE")
    assert [planes.at(k) for k in range(8)] == [0x520 + 4 * k for k in range(8)]
    assert access_table().word("FABRIC.PLANE_ENABLE", 7) == access_table().word("FABRIC.PLANE_ENABLE") + 7
    for index in (-1, 8):
        with pytest.raises(IndexError, match=rf"FABRIC\.PLANE_ENABLE\[{index}\]: the array has 8 elements"):
            planes.at(index)


def test_field_get_cuts_the_field_out_of_a_word() -> None:
    status = register("SEQ.STATUS")
    assert (status.fields["STATE"].get(0xFFFF0304), status.fields["FAULT"].get(0xFFFF0304)) == (4, 3)
    assert register("SYS.CYCLE").fields["COUNT"].get((1 << 64) - 1) == (1 << 64) - 1


def test_register_mask_gathers_fields_by_access() -> None:
    ctrl = register("CORR.CTRL")
    assert (ctrl.mask("rw"), ctrl.mask("pulse"), ctrl.mask("rw", "pulse"), ctrl.mask("r")) == (1, 6, 7, 0)


def test_unknown_register_names_its_neighbours() -> None:
    with pytest.raises(KeyError, match=r"no register 'TEMP\.DAC'; there are TEMP\.TDAC"):
        register("TEMP.DAC")
    with pytest.raises(
        KeyError, match="there are ADC, CAL, CAP, CORR, CPU, DMA, FABRIC, IRQ, LEARN, MAILBOX, MON, SEQ, SYS, TEMP"
    ):
        register("NOPE.X")


def test_labels_and_values_translate_both_ways() -> None:
    assert value_of("SEQ.STATUS.STATE", "HALTED") == 2
    assert label_of("SEQ.STATUS.STATE", 2) == "HALTED"
    assert label_of("SEQ.STATUS.STATE", 77) == "value 77"
