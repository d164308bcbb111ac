"""The first words with a chip: is it one, has it booted, what can it do."""

from __future__ import annotations

from tsu_contract.capabilities import Capabilities
from tsu_contract.errors import Code
from tsu_contract.registers import REGISTERS, label_of
from tsu_driver.batch import Batch
from tsu_driver.errors import ChipFault, LinkError
from tsu_driver.kinds import NAMES
from tsu_driver.session import Session

BOOT_CYCLES = 10_000_000
"""Chip time that the boot firmware may take."""

MAGIC = REGISTERS["SYS.ID"].fields["MAGIC"].reset


def await_ready(session: Session) -> None:
    """Wait until SYS.BOOT says READY; ChipFault says what it says instead."""
    batch = Batch(session, None)
    batch.wait_field("SYS.BOOT.STAGE", "READY", max_cycles=BOOT_CYCLES)
    try:
        batch.execute()
    except ChipFault as fault:
        if fault.code is not Code.WAIT_TIMEOUT:
            raise
    else:
        return
    batch = Batch(session, None)
    stage, detail = batch.read_field("SYS.BOOT.STAGE"), batch.read_field("SYS.BOOT.DETAIL")
    batch.execute()
    label = label_of("SYS.BOOT.STAGE", stage.value)
    why = f"it is at {label} after {BOOT_CYCLES} cycles"
    if label == "FAILED":
        why = f"its self-test failed at step {detail.value}"
    raise ChipFault(f"the chip did not boot: {why}", cause=label, code=Code.WAIT_TIMEOUT)


def read_capabilities(session: Session) -> Capabilities:
    """The CAP block; LinkError if this is no chip of this contract."""
    batch = Batch(session, None)
    magic, map_hash = batch.read_field("SYS.ID.MAGIC"), batch.read("SYS.MAP_HASH")
    tickets = [batch.read(name) for name in Capabilities.names()]
    batch.execute()
    if magic.value != MAGIC:
        raise LinkError(f"SYS.ID.MAGIC reads {magic.value:#x}; a TSU has {MAGIC:#x}")
    ours = session.map.hash_word
    if map_hash.value != ours:
        raise LinkError(f"the chip's register map is {map_hash.value:#010x}, this driver's is {ours:#010x}")
    capabilities = Capabilities(*(t.value for t in tickets))
    if capabilities.cell_kind not in NAMES:
        raise LinkError(f"CAP.CELL_KIND reads {capabilities.cell_kind}; there are {', '.join(map(str, NAMES))}")
    return capabilities
