"""A workload set aside while something else is done with its chip, and put back as it was, spins included."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from tsu_apps.ending import afterwards
from tsu_driver import Chip
from tsu_driver.windows import Layouts

WINDOWS = ("COUPLING", "BIAS", "PLANE_TEMP", "CLAMP_MASK", "CLAMP_VALUE", "SOFT")
REGISTERS = ("TEMP.TDAC", "TEMP.STEP", "TEMP.SCHEDULE", "CORR.CTRL")


def halt(chip: Chip) -> None:
    """The schedule and the correlator stand still, and no soft field pulls."""
    batch = chip.batch()
    batch.write("TEMP.SCHEDULE", MODE="OFF")
    batch.write("CORR.CTRL", ENABLE=0)
    soft = Layouts(chip.capabilities)["SOFT"]
    if soft.size:
        batch.write_window("SOFT", np.zeros(soft.shape, np.int16))
    batch.execute()


@contextmanager
def set_aside(chip: Chip) -> Iterator[None]:
    """Keep what a chip of p-bits was given to do: codes, clamps that pin and pull, temperature, its schedule and the planes'
    multipliers, planes enabled, the correlator, and the spins of all planes. Meanwhile the correlator and the schedule stand
    still and nothing pulls; at the end everything is back.

    Spins are put back by a sweep under clamps to them, so that cells go on from where they were. Not put back: the index of the
    sweep, the memory of coloured noise, what asynchronous cells have yet to hear of neighbours, what the chip spent.
    The sequencer must be idle, as ever.
    """
    batch = chip.batch()
    windows = {name: batch.read_window(name) for name in WINDOWS}
    registers = {name: batch.read(name) for name in REGISTERS}
    batch.execute()
    codes = {name: ticket.value for name, ticket in windows.items() if ticket.value.size}
    planes, spins = chip.enabled_planes, chip.read(stale_ok=True)

    def put_back() -> None:
        batch = chip.batch()
        for name in ("COUPLING", "BIAS", "PLANE_TEMP"):
            if name in codes:
                batch.write_window(name, codes[name])
        batch.write("TEMP.TDAC", registers["TEMP.TDAC"].value)
        batch.wait_field("FABRIC.STATUS.SETTLED", 1, max_cycles=chip.capabilities.settle_cycles + 1)
        batch.execute()
        chip.enable_planes(chip.capabilities.planes)
        chip.clamp(np.arange(chip.capabilities.cells), spins)
        chip.run(1)
        chip.enable_planes(planes)
        batch = chip.batch()
        for name in ("CLAMP_MASK", "CLAMP_VALUE", "SOFT"):
            if name in codes:
                batch.write_window(name, codes[name])
        for name in ("TEMP.STEP", "TEMP.SCHEDULE", "CORR.CTRL"):
            batch.write(name, registers[name].value)
        batch.execute()

    halt(chip)
    with afterwards(put_back):
        yield
