"""Compiles everything a daemon runs, once per version, by leading a tiny chip through its life.

What was compiled is marked in the cache directory. A daemon that finds the mark loads each function when it first runs it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from numba.core import event
from numba.core.registry import cpu_target
from numpy.typing import NDArray

from tsu_contract.capabilities import VALUE_KINDS, Capabilities
from tsu_contract.errors import ProtocolError
from tsu_contract.firmware import Bus
from tsu_contract.operations import RECORD, Op
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import WINDOWS, register
from tsu_emu import jit
from tsu_emu.chip import Chip
from tsu_emu.chip.parameters import is_general
from tsu_emu.code_cache import cache_directory
from tsu_emu.config import ChipConfig, Edges, parse
from tsu_emu.digital.regfile import peek_word

WITHOUT_CODE = ("cpu", "policy", "map")
"""Tables of a configuration on which no compiled code depends."""
Progress = Callable[[int, int], None]
"""Called with functions compiled so far, and how many there are."""


class _Count(event.Listener):
    def __init__(self, progress: Progress) -> None:
        self._progress, self._done = progress, 0

    def on_start(self, event: event.Event) -> None:
        pass

    def on_end(self, event: event.Event) -> None:
        if event.data["dispatcher"].py_func.__module__.startswith("tsu_emu."):
            self._done += 1
            if self._done <= jit.declared:
                self._progress(self._done, jit.declared)


class _Boot:
    """Firmware that uses its bus once."""

    def step(self, state: NDArray[np.int64], bus: Bus) -> int | None:
        """Write what was read."""
        scratch = register("SYS.SCRATCH").at()
        bus.write(scratch, bus.read(scratch))
        return None


def warm_up(progress: Progress, config: ChipConfig | None = None) -> None:
    """Returns when all that a chip of `config` runs is compiled; clocked p-bits without a config.

    From scratch it takes about a minute, from the cache a fraction of a second.
    """
    _lead(progress, _lives(config))


def warm_up_once(progress: Progress, config: ChipConfig) -> None:
    """As `warm_up`, and returns at once if it was done before on this machine by this version; a firmware core as well."""
    _lead(progress, [life for life in _lives(config) if not _mark(life).exists()])
    if config.cpu.image:
        from tsu_emu.chip.core import warm_up_core

        chip = Chip(_pbits(0.0))
        warm_up_core(chip.plant, chip.state, chip.windows.memory)


def _lead(progress: Progress, lives: list[ChipConfig]) -> None:
    with event.install_listener("numba:compile", _Count(progress)):
        for config in lives:
            _live(config)
            mark = _mark(config)
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()


def _lives(config: ChipConfig | None) -> list[ChipConfig]:
    """Small chips that run all that one of `config` runs."""
    return [_pbits(0.0), _pbits(0.01)] + ([_tiny(config)] if config is not None and is_general(config) else [])


def _mark(config: ChipConfig) -> Path:
    """The file that says that a small chip was led through its life by this version on such a processor."""
    processor = cpu_target.target_context.codegen().magic_tuple()
    life = config.model_dump_json(exclude={"name", "description", "seeds", "provenance", *WITHOUT_CODE})
    of = hashlib.sha256(f"{processor} {life}".encode() + Path(__file__).read_bytes()).hexdigest()[:16]
    return cache_directory() / "warm" / of


def _pbits(sigma: float) -> ChipConfig:
    """Three p-bits with static errors of about sigma."""
    dac = {"element_sigma": sigma, "gain_sigma": sigma, "offset_sigma_lsb": sigma}
    errors = {"coupling": {"dac": dac, "gain_sigma": sigma}, "bias": {"dac": dac}}
    errors |= {"cell": {"kind": "pbit", "slope_sigma": sigma, "offset_sigma_kt": sigma}}
    errors |= {"temperature": {"dac": {**dac, "full_scale": 4.0}}}
    engines = {"learning": {"bits": 12, "hostmem_words": 1}, "trim": {"bits": 4}}
    return parse({"name": "warmup", "fabric": {"topology": {"kind": "dense", "cells": 3}}, **engines, **errors})


def _tiny(config: ChipConfig) -> ChipConfig:
    """The same chip with three cells, each coupled to the others if the chip has couplers."""
    loose = isinstance(config.fabric.topology, Edges) and not config.fabric.topology.pairs
    topology = {"kind": "edges", "cells": 3, "pairs": [] if loose else [(0, 1), (1, 2), (0, 2)]}
    data = config.model_dump(by_alias=True, exclude={"fabric", "provenance", *WITHOUT_CODE})
    return parse({**data, "fabric": {"planes": 2, "topology": topology}})


def _engine_steps(cap: Capabilities) -> list[tuple[Opcode, int]]:
    """An instruction for each engine that the chip has."""
    ring = cap.hostmem_words >= cap.dimension("spin_words") > 0
    swaps = cap.dimension("spin_planes") >= 2
    return [(Opcode.CLAMP_NEXT, 1)] * ring + [(Opcode.LEARN, 0)] * (cap.learn_bits > 0) + [(Opcode.SWAP, 0)] * swaps


def _live(config: ChipConfig) -> None:
    """Every kind of operation on a small chip."""
    chip = Chip(config, _Boot())
    cap = chip.capabilities
    conversions = [Instruction(Opcode.ADC_SCAN)] * (cap.cell_kind in VALUE_KINDS) + [Instruction(Opcode.ADC_CAPTURE, 2)]
    middle = (conversions if cap.adc_count else []) + [Instruction(*step) for step in _engine_steps(cap)]
    program = assemble([Instruction(Opcode.RUN, 2), Instruction(Opcode.STROBE), *middle, Instruction(Opcode.HALT)])
    couplings = WINDOWS["COUPLING"]
    codes = np.zeros(cap.couplers + cap.couplers % 2, np.int16)
    scratch = register("SYS.SCRATCH").at()
    peek_word(chip.state.core[0], chip.plant.rules[0], 0)
    rows = [(Op.BLKWR, WINDOWS["PROGRAM"].address, 0, 0, 2 * len(program))]
    if cap.couplers:
        rows.append((Op.BLKWR, couplings.address, 0, 0, cap.words(couplings)))
    if cap.trim_bits:
        rows.append((Op.WRITE, WINDOWS["TRIM_OFFSET"].address, 0, 0, 0))
    rows += [
        (Op.WRITE, WINDOWS["BIAS"].address, 0, 0, 0),
        (Op.WRITE, WINDOWS["CLAMP_MASK"].address, 0, 0, 0),
        (Op.WRITE, register("CORR.CTRL").at(), 1, 0, 0),
        (Op.WRITE, register("DMA.ENTRIES").at(), 1, 0, 0),
        (Op.WRITE, register("DMA.PLANES").at(), 1, 0, 0),
        (Op.WRITE, register("TEMPERING.LADDERS").at(), 1, 0, 0),
        (Op.WRITE, register("TEMPERING.RUNGS").at(), 2, 0, 0),
        (Op.WRITE, register("SEQ.CTRL").at(), 1, 0, 0),
        (Op.WAIT, register("SEQ.STATUS").at(), 2, 0xFF, 10_000_000),
        (Op.RMW, scratch, 1, 0xFFFFFFFF, 0),
        (Op.DELAY, 0, 0, 0, 3 * config.slow.epoch_cycles),
        (Op.READ, register("TEMP.SENSOR").at(), 0, 0, 0),
        (Op.READ, WINDOWS["CLAMP_MASK"].address, 0, 0, 0),
    ]
    records = np.zeros(len(rows), RECORD)
    for k, (op, addr, value, mask, arg) in enumerate(rows):
        records[k] = (op, 0, 0, addr, value, mask, arg)
    payloads = (program.tobytes(), codes.tobytes()) if cap.couplers else (program.tobytes(),)
    result = chip.execute(records, payloads)
    if result.failure is not None:
        raise AssertionError(f"the warm-up chip failed: {result.failure.message}")
    alone = np.zeros(1, RECORD)
    alone[0] = (Op.READ, 0, 0, scratch, 0, 0, 0)
    chip.execute(alone)
    alone["addr"] = scratch + 1
    with suppress(ProtocolError):
        chip.execute(alone)
