"""A fit as a configuration that the emulator runs: everything from the chip itself, nothing of its data sheet."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from tsu_apps.twin.fit import Fit, Floats
from tsu_contract.capabilities import LSB_SCALE


def config_text(fit: Fit) -> str:
    """The TOML text of a twin.

    Graph, planes, converters and timing are those that the chip states. A cell's slope is its response to its bias, so that bias
    DACs and T = 1 are exact by definition, and gains of couplers are in units of it: these ratios are all that spins show.
    Trims are in the values, and the twin has none of its own.
    """
    cap, topology = fit.capabilities, fit.topology
    gain = np.clip(fit.coupler_gain, 0.0, None)
    heard = np.where(gain > 0, gain, 1.0)
    slope = np.clip(fit.bias_gain, 0.0, None)
    temperature = (fit.temperature, 1.0 - fit.temperature)
    lines = [
        f'name = "twin-{cap.serial:016x}"',
        f'description = "twin of chip {cap.serial:016x}, measured through its pins"',
        _table("clock", hz=cap.clock_hz),
        "[fabric]",
        f"planes = {cap.planes}",
        f'topology = {{ kind = "edges", cells = {cap.cells}, pairs = {topology.pairs.tolist()} }}',
        _dac("coupling.dac", cap.coupling_bits, cap.coupling_lsb * 2 ** (cap.coupling_bits - 1)),
        _dac("bias.dac", cap.bias_bits, cap.bias_lsb * 2 ** (cap.bias_bits - 1)),
        _dac("temperature.dac", cap.temp_bits, cap.temp_lsb * 2**cap.temp_bits),
        '[cell]\nkind = "pbit"',
        *_drift(fit),
        "[die]",
        f"offset_kt = {_list(fit.offset / slope)}",
        f"slope = {_list(slope)}",
        f"coupler_gain = {_list(gain / slope[topology.target])}",
        f"coupler_offset_kt = {_list(fit.coupler_offset / heard)}",
        f"temperature = {_list(np.array(temperature))}",
        _table(
            "sequencer", program_words=cap.program_words, loop_depth=cap.loop_depth, table_entries=cap.table_entries
        ),
        _table("learning", bits=cap.learn_bits, hostmem_words=cap.hostmem_words),
        _table(
            "timing", sweep=cap.sweep_cycles, colour=cap.colour_cycles, slot=cap.slot_cycles, correlate=cap.corr_cycles,
            instruction=cap.instruction_cycles, strobe=cap.strobe_cycles, settle=cap.settle_cycles, learn=cap.learn_cycles,
            swap=cap.swap_cycles,
        ),
        "[provenance]",
        '"die" = "measured: through the pins of the chip that the name has"',
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def save_config(fit: Fit, path: str | os.PathLike[str]) -> None:
    """Write the configuration to a file, whole or not at all."""
    target = Path(path)
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        scratch.write_text(config_text(fit), encoding="utf-8")
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)


def _list(values: Floats) -> str:
    """Seven digits, far below any error of measurement."""
    return f"[{', '.join(f'{v:.7g}' if v % 1 else f'{v:.1f}' for v in values.tolist())}]"


def _table(name: str, **values: int) -> str:
    return "\n".join([f"[{name}]", *(f"{key} = {value}" for key, value in values.items())])


def _dac(name: str, bits: int, steps: int) -> str:
    return f"[{name}]\nbits = {bits}\nthermometer_bits = 0\nfull_scale = {steps * LSB_SCALE!r}"


def _drift(fit: Fit) -> list[str]:
    """A drift that was seen."""
    if fit.drift is None or not fit.drift.seen:
        return []
    return ["[cell.offset_drift]", f"ou_sigma = {fit.drift.sigma_kt:.6g}", f"ou_tau_s = {fit.drift.tau_s:.6g}"]
