"""A chip whose map has the contract's blocks and windows elsewhere."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from c_firmware.building import ROOT

sys.path.append(str(ROOT / "tools"))

SOC = """
addrmap soc {
    default regwidth = 32;
    sys_block SYS @0x00100000;
    irq_block IRQ @0x00101000;
    seq_block SEQ @0x4000;
    mailbox_block MAILBOX @0x00000300;
    external program_window #(.ENTRIES(0x800)) PROGRAM @0x00200000;
    external bias_window #(.ENTRIES(0x100)) BIAS @0x00300000;
    external spin_window SPIN @0x08000000;
    external coupling_window COUPLING @0x18000000;

    regfile {
        reg {
            name = "Tuner's settings";
            default sw = rw; default hw = r;
            field { range_min = 1; range_max = 200; desc = "What is multiplied by, odd | even."; } GAIN[7:0] = 10;
        } CONTROL @0x0;
        reg {
            name = "Tuner's status"; firmware_write;
            default sw = r; default hw = w;
            field { desc = "Rounds that it took."; } ROUNDS[15:0] = 0;
        } STATUS @0x100;
    } TUNER @0x00400000;
};
"""
"""SEQ's old place is MAILBOX's; SPIN and COUPLING have changed places."""


def outputs(folder: Path, source: str) -> dict[Path, str]:
    """What the tool makes of a source, by the files below the folder `soc` that they are for; MapError or RDLCompileError."""
    (folder / "soc.rdl").write_text(source)
    made: dict[Path, str] = import_module("regmap").outputs_with(folder / "soc.rdl", folder / "soc")
    return made
