"""Wrong rules of stuck bits, dead cells and pair gains, each as a patch of the reference."""

from __future__ import annotations

import pytest

from tsu_emu.config import ChipConfig

from . import analog, fabric
from .analog import Analog, Dac, opposite
from .fabric import Fabric
from .topology import Graph

Patch = pytest.MonkeyPatch


def stuck_bits_ignored(patch: Patch) -> None:
    patch.setattr(Dac, "_stuck_at", staticmethod(lambda config, seed, bank, element, bit: None))


def stuck_bits_always_at_0(patch: Patch) -> None:
    right = Dac._stuck_at
    patch.setattr(Dac, "_stuck_at", staticmethod(lambda *where: None if right(*where) is None else 0))


def both_banks_stuck_alike(patch: Patch) -> None:
    patch.setattr(analog, "STUCK_BANKS", {})


def _without(patch: Patch, name: str) -> None:
    """A reference that does not take one list of what was measured of a die."""
    right = fabric.build_analog

    def build(config: ChipConfig, graph: Graph) -> Analog:
        return right(config.model_copy(update={"die": config.die.model_copy(update={name: ()})}), graph)

    patch.setattr(fabric, "build_analog", build)


def measured_offsets_ignored(patch: Patch) -> None:
    _without(patch, "offset_kt")


def measured_slopes_ignored(patch: Patch) -> None:
    _without(patch, "slope")


def measured_coupler_gains_ignored(patch: Patch) -> None:
    _without(patch, "coupler_gain")


def measured_coupler_offsets_ignored(patch: Patch) -> None:
    _without(patch, "coupler_offset_kt")


def measured_temperature_ignored(patch: Patch) -> None:
    _without(patch, "temperature")


def dead_cells_ignored(patch: Patch) -> None:
    patch.setattr(fabric, "dead_cells", lambda config, cells: {})


def dead_cells_mirrored(patch: Patch) -> None:
    right = fabric.dead_cells
    patch.setattr(fabric, "dead_cells", lambda *which: {cell: -spin for cell, spin in right(*which).items()})


def floating_cells_hear(patch: Patch) -> None:
    right = fabric.dead_cells
    patch.setattr(fabric, "dead_cells", lambda *which: {cell: spin for cell, spin in right(*which).items() if spin})


def floating_cells_keep_their_bias(patch: Patch) -> None:
    field = Fabric.field
    patch.setattr(Fabric, "field", lambda self, p, i: self.bias_field[i] if i in self.floating else field(self, p, i))


def clamps_move_dead_cells(patch: Patch) -> None:
    begin = Fabric.begin_sweep

    def begin_sweep(self: Fabric) -> int:
        planes = begin(self)
        for p in self.sweep_under_way.planes:
            for i in self.stuck:
                if self._clamp_bit(self.clamp_mask, p, i):
                    self.spins[p][i] = 1 if self._clamp_bit(self.clamp_value, p, i) else -1
        return planes

    patch.setattr(Fabric, "begin_sweep", begin_sweep)


def dead_from_power_on(patch: Patch) -> None:
    first = Fabric._first_spin
    patch.setattr(Fabric, "_first_spin", lambda self, plane, cell: self.stuck.get(cell, first(self, plane, cell)))


def pair_gain_drawn_per_coupler(patch: Patch) -> None:
    patch.setattr(analog, "pair_element", lambda graph, e: e)


def pair_gain_of_the_other_direction_alone(patch: Patch) -> None:
    patch.setattr(analog, "pair_element", opposite)
