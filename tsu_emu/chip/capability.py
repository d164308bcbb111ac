"""What a configuration's chip says of itself, and how large its state is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from tsu_contract import capabilities as C
from tsu_contract.capabilities import LSB_SCALE, RANGE_SCALE, Capabilities
from tsu_contract.registers import Window
from tsu_emu.analog.adc import conversion_cycles
from tsu_emu.analog.dac import lsb_of
from tsu_emu.chip.converters import DAC_HEADROOM
from tsu_emu.config import (
    AsynchronousPbit,
    ChipConfig,
    ColouredNoise,
    ConfigError,
    Gaussian,
    Langevin,
    LfsrNoise,
    Mixture,
    Pbit,
    Pdit,
)
from tsu_emu.digital.correlator import FRACTION_BITS
from tsu_emu.state import Sizes
from tsu_emu.topology import Topology


def kind_of(config: ChipConfig) -> tuple[int, int, int]:
    """(cell kind, states, bias terms of a cell), as CAP says them."""
    match config.cell:
        case Pbit():
            return C.PBIT_CLOCKED, 2, 1
        case AsynchronousPbit():
            return C.PBIT_ASYNC, 2, 1
        case Pdit(states=states):
            return C.PDIT, states, states
        case Gaussian():
            return C.GAUSSIAN, 0, 2
        case Mixture(modes=modes):
            return C.MIXTURE, modes, 2 * modes
        case Langevin():
            return C.LANGEVIN, 0, 4


def capabilities_of(config: ChipConfig, topology: Topology) -> Capabilities:
    """The CAP block of a configuration."""
    timing, coupling, bias, temp, adc = (
        config.timing, config.coupling.dac, config.bias.dac, config.temperature.dac, config.adc,
    )  # fmt: skip
    fixed = [round(lsb_of(dac, signed) / LSB_SCALE) for dac, signed in ((coupling, True), (bias, True), (temp, False))]
    ranges = [round(DAC_HEADROOM * dac.full_scale / RANGE_SCALE) if adc.count else 0 for dac in (coupling, bias, temp)]
    kind, states, terms = kind_of(config)
    trim, serial = config.trim, serial_of(config)
    return Capabilities(
        cell_kind=kind,
        cells=len(topology.order),
        couplers=len(topology.source),
        pairs=len(topology.pair_i),
        planes=config.fabric.planes,
        colours=len(topology.phase) - 1,
        clock_hz=config.clock.hz,
        coupling_bits=coupling.bits,
        coupling_lsb=fixed[0],
        bias_bits=bias.bits,
        bias_lsb=fixed[1],
        temp_bits=temp.bits,
        temp_lsb=fixed[2],
        program_words=config.sequencer.program_words,
        loop_depth=config.sequencer.loop_depth,
        corr_fraction=FRACTION_BITS,
        sweep_cycles=timing.sweep,
        colour_cycles=timing.colour,
        slot_cycles=timing.slot,
        corr_cycles=timing.correlate,
        instruction_cycles=timing.instruction,
        strobe_cycles=timing.strobe,
        settle_cycles=timing.settle,
        states=states,
        terms=terms,
        adc_count=adc.count,
        adc_bits=adc.bits if adc.count else 0,
        adc_cycles=conversion_cycles(adc) if adc.count else 0,
        adc_acquire_cycles=adc.acquisition_cycles if adc.count else 0,
        adc_buffer=adc.buffer if adc.count else 0,
        adc_trim_offset=round(adc.trim_offset_lsb * 2.0 ** (1 - adc.bits) / LSB_SCALE) if adc.count else 0,
        adc_trim_gain=round(adc.trim_gain / LSB_SCALE) if adc.count else 0,
        range_cell=round(getattr(config.cell, "range", 0.0) / RANGE_SCALE),
        range_coupling=ranges[0],
        range_bias=ranges[1],
        range_temp=ranges[2],
        learn_bits=config.learning.bits,
        learn_cycles=timing.learn,
        swap_cycles=timing.swap,
        hostmem_words=config.learning.hostmem_words,
        table_entries=config.sequencer.table_entries,
        trim_bits=trim.bits,
        trim_offset_lsb=round(trim.offset_full_scale_kt / (1 << trim.bits - 1) / LSB_SCALE) if trim.bits else 0,
        trim_slope_lsb=round(trim.slope_full_scale / (1 << trim.bits - 1) / LSB_SCALE) if trim.bits else 0,
        nvm_words=config.nvm.words,
        serial_low=serial & 0xFFFFFFFF,
        serial_high=serial >> 32,
    )


def serial_of(config: ChipConfig) -> int:
    """64 bits that name the die: the first of SHA-256 over the configuration without description, provenance, firmware core,
    policies, register map and run seed, and without `die` where nothing of it was measured, as JSON with sorted keys and no white
    space."""
    data = config.model_dump(mode="json", by_alias=True, exclude={"description": True, "provenance": True, "seeds": {"run"}})
    for table in ("cpu", "policy", "map"):
        del data[table]
    if not config.die.stated:
        del data["die"]
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def check_windows(cap: Capabilities, windows: Iterable[Window]) -> None:
    """ConfigError if a window of the chip's map is too small for it."""
    for window in windows:
        if 4 * cap.words(window) > window.size:
            shape, size = " x ".join(str(n) for n in cap.shape(window)), window.size
            room = f"{size >> 20} MiB" if size >= 1 << 20 else f"{size} bytes"
            raise ConfigError(f"fabric: {window.name} would hold {shape} elements, more than its {room}")


def sizes_of(config: ChipConfig, cells: int) -> Sizes:
    """What a chip's state holds beyond its capabilities."""
    cell = config.cell
    by_event = isinstance(cell, AsynchronousPbit) and not cell.in_rounds
    second = cell.kind == "gaussian" and cell.quality > 0
    values = int(by_event or cell.kind in ("gaussian", "mixture", "langevin")) + int(second)
    noise = getattr(cell, "noise", None)
    lfsrs = (cells + noise.shared - 1) // noise.shared if isinstance(noise, LfsrNoise) else 0
    kicks = config.coupling.dac.settling_s > 0 or config.bias.dac.settling_s > 0
    core_words = config.cpu.ram_words if config.cpu.served else 0
    return Sizes(values, kicks, int(isinstance(noise, ColouredNoise)), lfsrs, core_words)
