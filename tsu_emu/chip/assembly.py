"""Puts a chip together from its configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_contract.capabilities import LSB_SCALE, Capabilities
from tsu_emu import state as S
from tsu_emu.analog.dac import DacBank, lsb_of
from tsu_emu.analog.dead import dead_cells_of, masks_of
from tsu_emu.analog.die import Die, make_die, rails
from tsu_emu.analog.network import Network, make_network
from tsu_emu.analog.pbit import power_on_spins
from tsu_emu.analog.rows import lay_out
from tsu_emu.analog.stuck import StuckBits
from tsu_emu.analog.sweep import cell_work
from tsu_emu.chip import arrays
from tsu_emu.chip.capability import capabilities_of, check_windows, sizes_of
from tsu_emu.chip.converters import Converters
from tsu_emu.chip.engines import make_engines
from tsu_emu.chip.parameters import Parameters, is_general, is_slow
from tsu_emu.chip.plant import Lines, Plant, Slow
from tsu_emu.chip.surroundings import Surroundings
from tsu_emu.chip.window_memory import Memory
from tsu_emu.config import AsynchronousPbit, ChipConfig, Dac, Gaussian, Langevin, Mixture, Pbit, Pdit
from tsu_emu.digital.regfile import CLEAR_CORRELATIONS, RESET_TRIMS, RESET_WINDOWS, make_rules, power_on_registers
from tsu_emu.digital.timing import make_timing
from tsu_emu.digital.validate import make_window_rules
from tsu_emu.noise.streams import Stream
from tsu_emu.topology import Topology, build, in_one_phase

if TYPE_CHECKING:
    from tsu_emu.chip.core import FirmwareCore


class Parts(NamedTuple):
    """A chip at power-on."""

    capabilities: Capabilities
    plant: Plant
    state: S.ChipState
    surroundings: Surroundings
    parameters: Parameters
    array: arrays.Array
    converters: Converters


def _key(seed: int, stream: Stream) -> NDArray[np.uint32]:
    return np.array([seed & 0xFFFFFFFF, seed >> 32, stream], np.uint32)


def _energy(config: ChipConfig) -> NDArray[np.int64]:
    """(6,) aJ an operation and a cycle of standby."""
    e = config.energy
    standby = round(e.standby_w * 1e18 / config.clock.hz)
    return np.array([e.update_aj, e.read_aj, e.write_aj, e.conversion_aj, e.learn_aj, standby], np.int64)


RESETS = {
    "core": -1,
    "digital": 0,
    "keep-trims": RESET_WINDOWS | CLEAR_CORRELATIONS,
    "chip": RESET_WINDOWS | RESET_TRIMS | CLEAR_CORRELATIONS,
}
"""What follows from a reset, as regfile.ON_RESET and ON_BITE have it."""


def _policy(config: ChipConfig) -> tuple[int, ...]:
    """In the order of regfile.ON_RESET .."""
    p = config.policy
    return RESETS[p.reset], RESETS[p.watchdog], p.pending == "set-wins", p.write_queue, p.write_queue_full == "fail"


def is_deferred(config: ChipConfig) -> bool:
    """Whether the array is moved outside the compiled loop."""
    return not isinstance(config.cell, Pbit) or config.cell.noise.kind != "ideal"


def sweep_work(config: ChipConfig, cap: Capabilities) -> int:
    """About what a sweep of one plane of a deferred array costs, in units of 6 ns, so that a run can be stopped in time."""
    cell, tick_s, heard = config.cell, config.timing.colour / config.clock.hz, 1 + cap.couplers // cap.cells
    match cell:
        case AsynchronousPbit():
            return int(cap.cells * (heard + 40 * tick_s / cell.tau_s))
        case Gaussian():
            return 8 * cap.cells + cap.cells**2 // 8
        case Langevin():
            return cap.cells * cell.substeps * (4 + heard // 8) // 32
        case Mixture():
            return int(cap.cells * (16 + 16 * tick_s / cell.mode_tau_s))
        case _:
            return 4 * cap.cells * heard


def make_array(config: ChipConfig, topology: Topology, plant: Plant, state: S.ChipState) -> arrays.Array:
    """The array of a configuration's kind of cells."""
    common = config, topology, state, arrays.Defects(plant.dead_mask, plant.dead_value, plant.floating)
    fields = arrays.Fields(plant.doubled, plant.bias, plant.base, plant.soft)
    clocked = config, topology, plant.die, state, fields, plant.limits, plant.floating
    match config.cell:
        case Pbit(noise=noise):
            return arrays.Clocked(*clocked) if noise.kind == "ideal" else arrays.Sourced(noise, *clocked)
        case AsynchronousPbit() as cell:
            return arrays.Asynchronous(cell, *common)
        case Pdit() as cell:
            return arrays.Pdits(cell, *common)
        case Gaussian() as cell:
            return arrays.Gaussians(cell, *common)
        case Mixture() as cell:
            return arrays.Mixtures(cell, *common)
        case Langevin() as cell:
            return arrays.Langevins(cell, plant.threads, *common)


def make_lines(config: ChipConfig, die: Die, state: S.ChipState) -> tuple[Lines, Lines]:
    """The DACs of couplings and of biases, all at code 0."""

    def lines(dac: Dac, bank: DacBank, codes: Any, kicks: Any, written: Any) -> Lines:
        stuck = StuckBits(np.zeros(len(codes), np.uint16), np.zeros(len(codes), np.uint16))
        tau, glitch = dac.settling_s * config.clock.hz, dac.glitch_lsb * lsb_of(dac, True)
        return Lines(bank, stuck, codes, np.zeros_like(codes), np.zeros(len(codes)), kicks, written, tau, glitch)

    return (
        lines(config.coupling.dac, die.coupling, state.coupling_code, state.coupling_kick, state.coupling_written),
        lines(config.bias.dac, die.bias, state.bias_code, state.bias_kick, state.bias_written),
    )


def make_slow(config: ChipConfig, cap: Capabilities, state: S.ChipState) -> Slow:
    """Room for slow effects."""
    biases = len(state.bias_code)
    offsets = biases if isinstance(config.cell, Pdit) else cap.cells
    levels = np.zeros(cap.couplers), np.zeros(biases)
    return Slow(np.ones(2), levels, np.ones(cap.couplers), np.ones(cap.cells), np.zeros(offsets), np.zeros(2))


def make_limits(config: ChipConfig, topology: Topology, die: Die) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rails of clocked p-bits; others have none."""
    if not isinstance(config.cell, Pbit):
        return np.empty(0), np.empty(0)
    limits = np.empty(len(topology.source)), np.empty(len(topology.order))
    rails(die, (config.coupling.dac.full_scale, config.bias.dac.full_scale), topology.row, *limits)
    return limits


def network_of(config: ChipConfig, topology: Topology) -> Network:
    """The coupling network of a configuration."""
    n, dac = config.network, config.coupling.dac
    return make_network(
        topology.row, topology.source, 1 << dac.bits - 1, dac.full_scale, n.crosstalk, n.ir_drop, n.wire_ohm, n.coupler_siemens
    )


def make_plant(config: ChipConfig, cap: Capabilities, topology: Topology, state: S.ChipState, threads: int) -> Plant:
    """Everything about a chip that its life does not change."""
    dead_mask, dead_value, floating = masks_of(dead_cells_of(config, topology))
    die = make_die(config, topology, is_general(config), cap.terms)
    rows = lay_out(topology, not is_deferred(config))
    by_aes = isinstance(config.cell, Pbit) and getattr(config.cell.noise, "generator", "") == "aes"
    return Plant(
        rules=make_rules(cap, _energy(config), config.map.registers(), _policy(config)),
        windows=make_window_rules(cap),
        timing=make_timing(config.timing, cap),
        topology=topology,
        die=die,
        doubled=np.zeros(cap.couplers, np.int32),
        bias=np.zeros(cap.cells, np.int32),
        base=np.zeros(cap.cells, np.int32),
        soft=np.zeros((len(state.enabled), cap.dimension("soft_cells"), 64), np.int32),
        rows=rows,
        cell_work=cell_work(cap.couplers, cap.cells, len(rows.first) > 1 and not by_aes),
        soft_step=cap.bias_lsb * LSB_SCALE,
        key=_key(config.seeds.run, Stream.FLIP),
        by_aes=by_aes,
        scan_key=_key(config.seeds.run, Stream.SCAN),
        tdac_floor=lsb_of(config.temperature.dac, False) / 2,
        temperature=np.array([1.0, 0.0]),
        dead_mask=dead_mask,
        dead_value=dead_value,
        floating=floating,
        lines=make_lines(config, die, state),
        slow=make_slow(config, cap, state),
        network=network_of(config, topology),
        limits=make_limits(config, topology, die),
        engines=make_engines(config, cap, topology),
        general=is_general(config),
        epoch_cycles=config.slow.epoch_cycles if is_slow(config) else 0,
        deferred=is_deferred(config),
        sweep_work=sweep_work(config, cap),
        temp_code_max=(1 << cap.temp_bits) - 1,
        loop_depth=cap.loop_depth,
        threads=threads,
    )


def make_core(config: ChipConfig, plant: Plant, state: S.ChipState, memory: Memory) -> FirmwareCore | None:
    """The firmware core of a chip that has one; others do not load what it is made of."""
    if not config.cpu.image:
        return None
    from tsu_emu.chip.core import FirmwareCore

    return FirmwareCore(config.cpu, plant, state, config.map.registers().places, memory)


def assemble(config: ChipConfig, firmware: bool, threads: int) -> Parts:
    """All parts of a chip; ConfigError if they cannot be built."""
    topology = build(config.fabric)
    if not isinstance(config.cell, Pbit | Pdit):
        topology = in_one_phase(topology)
    cap = capabilities_of(config, topology)
    check_windows(cap, config.map.registers().windows.values())
    state = S.blank(cap, sizes_of(config, cap.cells))
    plant = make_plant(config, cap, topology, state, threads)
    state.registers[:] = power_on_registers(plant.rules, cap, firmware, config.map.registers())
    power_on_spins(state.spins, topology.order, cap.planes, _key(config.seeds.run, Stream.POWER_ON))
    surroundings = Surroundings(config, state)
    array = make_array(config, topology, plant, state)
    parameters = Parameters(config, topology, plant, state, surroundings, array)
    converters = Converters(config, state, array, parameters, cap.adc_cycles)
    parameters.remade()
    return Parts(cap, plant, state, surroundings, parameters, array, converters)
