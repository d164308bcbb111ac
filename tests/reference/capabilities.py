"""What a chip says of itself: the CAP block."""

from __future__ import annotations

import hashlib
import json

from tsu_contract.capabilities import Capabilities
from tsu_emu.config import ChipConfig

from .topology import Graph

WITHOUT_CONVERTERS = (
    "adc_count", "adc_bits", "adc_cycles", "adc_acquire_cycles", "adc_buffer", "adc_trim_offset", "adc_trim_gain",
    "range_cell", "range_coupling", "range_bias", "range_temp",
)  # fmt: skip
"""Capabilities that are 0 on a chip without converters."""


def serial_of(config: ChipConfig) -> str:
    """16 hexadecimal digits: the chip's name, from its configuration and die seed."""
    data = config.model_dump(mode="json", by_alias=True)
    for key in ("description", "provenance", "cpu", "policy", "map"):
        del data[key]
    del data["seeds"]["run"]
    if not any(data["die"].values()):
        del data["die"]
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]


def capabilities_of(config: ChipConfig, graph: Graph) -> Capabilities:
    """The CAP block of a chip."""

    def lsb(full_scale: float, codes: int) -> int:
        return round(full_scale / codes * 2**28)

    trim, serial = config.trim, serial_of(config)
    coupling, bias, temperature, timing = config.coupling.dac, config.bias.dac, config.temperature.dac, config.timing
    return Capabilities(
        cell_kind=1,
        cells=graph.cells,
        couplers=len(graph.source),
        pairs=len(graph.pairs),
        planes=config.fabric.planes,
        colours=graph.colours,
        clock_hz=config.clock.hz,
        coupling_bits=coupling.bits,
        coupling_lsb=lsb(coupling.full_scale, 2 ** (coupling.bits - 1)),
        bias_bits=bias.bits,
        bias_lsb=lsb(bias.full_scale, 2 ** (bias.bits - 1)),
        temp_bits=temperature.bits,
        temp_lsb=lsb(temperature.full_scale, 2**temperature.bits),
        program_words=config.sequencer.program_words,
        loop_depth=config.sequencer.loop_depth,
        corr_fraction=16,
        sweep_cycles=timing.sweep,
        colour_cycles=timing.colour,
        slot_cycles=timing.slot,
        corr_cycles=timing.correlate,
        instruction_cycles=timing.instruction,
        strobe_cycles=timing.strobe,
        settle_cycles=timing.settle,
        states=2,
        terms=1,
        learn_bits=config.learning.bits,
        learn_cycles=timing.learn,
        swap_cycles=timing.swap,
        hostmem_words=config.learning.hostmem_words,
        table_entries=config.sequencer.table_entries,
        trim_bits=trim.bits,
        trim_offset_lsb=lsb(trim.offset_full_scale_kt, 2 ** (trim.bits - 1)) if trim.bits else 0,
        trim_slope_lsb=lsb(trim.slope_full_scale, 2 ** (trim.bits - 1)) if trim.bits else 0,
        nvm_words=config.nvm.words,
        serial_low=int(serial[8:16], 16),
        serial_high=int(serial[:8], 16),
        **dict.fromkeys(WITHOUT_CONVERTERS, 0),
    )
