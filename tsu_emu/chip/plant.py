"""What a chip's life does not change, as compiled code takes it: one tuple of arrays and numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu.analog.dac import DacBank
from tsu_emu.analog.die import Die
from tsu_emu.analog.network import Network
from tsu_emu.analog.rows import Rows
from tsu_emu.analog.stuck import StuckBits
from tsu_emu.digital.regfile import RegisterRules
from tsu_emu.digital.validate import WindowRules
from tsu_emu.topology import Topology


class Lines(NamedTuple):
    """DACs of couplings, or of biases: their code lines and what they put out.

    codes : (n,) int16, the state's; heard : (n,) int16, those that converters get, stuck bits included
    volts : (n,) float64, outputs that they settle to, kT, if fields are made by `parameters`
    kicks, written : transients of the state, as in `slow.kick`; no elements where there are none
    tau : cycles of a transient; glitch : kT that a line adds when it toggles
    """

    bank: DacBank
    stuck: StuckBits
    codes: NDArray[np.int16]
    heard: NDArray[np.int16]
    volts: NDArray[np.float64]
    kicks: NDArray[np.float32]
    written: NDArray[np.int64]
    tau: float
    glitch: float


class Slow(NamedTuple):
    """What slow effects give as of the state's epoch; `Parameters` keeps it up.

    factors : (2,) float64, common gains of couplings and of biases; levels : errors of their stored levels, (n,) each, kT
    kappa : (couplers,) gains of couplers; alpha : (cells,) slopes, delta : (cells, or states,) offsets, kT
    temperature : (2,) gain and offset of the noise temperature
    """

    factors: NDArray[np.float64]
    levels: tuple[NDArray[np.float64], NDArray[np.float64]]
    kappa: NDArray[np.float64]
    alpha: NDArray[np.float64]
    delta: NDArray[np.float64]
    temperature: NDArray[np.float64]


class Engines(NamedTuple):
    """Constants of the engines that learn and swap.

    heard, told : (pairs,) uint32, couplers by which the lower cell of a pair hears the higher one, and by which that hears it
    cells : (cells,) uint32, 0, 1, 2 ..; pair_bits, bias_bits : bits of an accumulator, and of the DAC that it moves
    steps : COUPLING_LSB, BIAS_LSB; temp_step : T of a temperature code; learn_key, swap_key : (3,) uint32, first key words
    """

    heard: NDArray[np.uint32]
    told: NDArray[np.uint32]
    cells: NDArray[np.uint32]
    pair_bits: tuple[int, int]
    bias_bits: tuple[int, int]
    steps: tuple[int, int]
    temp_step: float
    learn_key: NDArray[np.uint32]
    swap_key: NDArray[np.uint32]


class Plant(NamedTuple):
    """Everything about a chip that its life does not change, and what follows from its codes.

    timing : (1,) TIMING
    doubled : (couplers,) int32, bias : (cells,) int32, base : (cells,) int32: fields in grid units, kept in step with the codes
    soft : (blocks, cells, 64) int32, fields of soft clamps, likewise; no cells where there are none; soft_step : kT of a code
    key, scan_key : (3,) uint32, first key words of flip noise and of the random scan order; by_aes : where flip noise comes from
    rows : the same fields for few planes; cell_work : `sweep.cell_work`
    tdac_floor : float64, least noise temperature
    temperature : (2,) float64, gain and offset of the noise temperature at this time
    dead_mask, dead_value : (cells,) uint64, cells that are stuck, in all planes, and where; floating : (cells,) bool, hear
        nothing
    lines : DACs of couplings and of biases; slow : what slow effects make of them; network : between them and the cells
    limits : where fields of clocked p-bits meet the rails, kT, (couplers,) and (cells,) float64
    engines : constants of the engines that learn and swap
    general : fields are made by `parameters`, before the sweep or phase that needs them; else they follow each write at once
    epoch_cycles : grid of slow effects; 0 if there are none
    deferred : the array is moved outside; sweep_work : what a sweep of one of its planes costs, in units of CELL_WORK
    """

    rules: RegisterRules
    windows: WindowRules
    timing: NDArray[Any]
    topology: Topology
    die: Die
    doubled: NDArray[np.int32]
    bias: NDArray[np.int32]
    base: NDArray[np.int32]
    soft: NDArray[np.int32]
    rows: Rows
    cell_work: tuple[int, int]
    soft_step: float
    key: NDArray[np.uint32]
    by_aes: bool
    scan_key: NDArray[np.uint32]
    tdac_floor: float
    temperature: NDArray[np.float64]
    dead_mask: NDArray[np.uint64]
    dead_value: NDArray[np.uint64]
    floating: NDArray[np.bool_]
    lines: tuple[Lines, Lines]
    slow: Slow
    network: Network
    limits: tuple[NDArray[np.float64], NDArray[np.float64]]
    engines: Engines
    general: bool
    epoch_cycles: int
    deferred: bool
    sweep_work: int
    temp_code_max: int
    loop_depth: int
    threads: int
