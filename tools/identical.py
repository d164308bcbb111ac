"""Bits that have to be identical: polling changes no spin, and an effect that is switched off no draw of another."""

from __future__ import annotations

from typing import Any

import numpy as np

import tsu_driver as tsu


def spins_of_a_life(polls: int, sweeps: int) -> Any:
    """(200, planes, cells) spins of a chip that does so many sweeps, its status being read so often, and is left alone until
    cycle 20,000,000."""
    with tsu.open("emu:digits-typical?die_seed=5&run_seed=6") as chip:
        rng = np.random.default_rng(7)
        h = rng.normal(0, 0.5, chip.capabilities.cells)
        chip.program_couplings((chip.topology.pairs, rng.normal(0, 0.1, len(chip.topology.pairs))), h)
        chip.start([tsu.Instruction(tsu.Opcode.RUN, sweeps), tsu.Instruction(tsu.Opcode.HALT)])
        for _ in range(polls // 1000):
            batch = chip.batch()
            for _ in range(1000):
                batch.read("SEQ.STATUS")
            batch.execute()
        late = chip.batch()
        late.delay_until(20_000_000)
        late.execute()
        chip.wait_halted()
        return chip.sample(200)


def polling_is_invisible() -> int:
    """Spins that differ between a chip left alone and one whose status is read 10,000 times until the same cycle."""
    return int(np.sum(spins_of_a_life(0, 5000) != spins_of_a_life(10_000, 5000)))


EFFECTS = {
    "cell.slope_sigma": ("slope",),
    "cell.offset_sigma_kt": ("offset",),
    "cell.dead": ("dead",),
    "coupling.gain_sigma": ("kappa", "J"),
    "coupling.pair_gain_sigma": ("kappa", "J"),
    "coupling.dac.element_sigma": ("coupling_dac", "J"),
    "coupling.dac.offset_sigma_lsb": ("coupling_dac", "J"),
    "coupling.dac.stuck_bit_probability": ("stuck_coupling_bits", "J"),
    "bias.dac.gain_sigma": ("bias_dac",),
    "temperature.dac.element_sigma": ("temperature_dac",),
    "adc.capacitor_sigma": ("adc_thresholds",),
    "adc.offset_sigma_lsb": ("adc_thresholds",),
    "thermal.sensor_offset_sigma_k": ("sensor_offset_k",),
    "cell.offset_drift.ou_sigma": ("drift_offset", "offset"),
    "coupling.drift.ou_sigma": ("drift_coupling", "J"),
}
"""Effects of digits-typical, and truths that may change when one is switched off."""
HEARD = ("h", "grid_J", "grid_h")
"""What follows from all of it."""


def effects_are_independent() -> int:
    """Truths of a die that change although they should not when one effect after the other is switched off, or do not although
    they should."""
    from tsu_contract.bench import Arguments
    from tsu_emu.bench.truth import ELEMENTWISE, Truth
    from tsu_emu.chip import Chip
    from tsu_emu.config import load, parse

    def truths(off: str | None) -> dict[str, Any]:
        data = load("digits-typical").model_dump(by_alias=True)
        data["cell"]["dead"] = {"down": 0.05, "up": 0.05, "floating": 0.05}
        if off is not None:
            *path, leaf = off.split(".")
            table = data
            for name in path:
                table = table[name]
            table[leaf] = {} if isinstance(table[leaf], dict) else 0.0
        teller = Truth(Chip(parse(data, "digits-typical")))
        given = {name: {"element": 0} if name in ELEMENTWISE else {} for name in teller.names if name not in HEARD}
        return {name: teller.of(name, Arguments(body, ("element",))) for name, body in given.items()}

    whole, changed = truths(None), 0
    for effect, may in EFFECTS.items():
        without = truths(effect)
        changed += sum(not np.array_equal(without[name], value) for name, value in whole.items() if name not in may)
        changed += sum(np.array_equal(without[name], whole[name]) for name in may)
    return changed
