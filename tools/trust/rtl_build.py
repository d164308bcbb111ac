"""A register file in SystemVerilog, made by PeakRDL-regblock from the register map, and built as a program by Verilator.

Nothing of the emulator is in it: the same SystemRDL goes through another generator and another compiler.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "driver/tsu_contract/map/tsu.rdl"
MAIN = Path(__file__).with_name("rtl_main.cpp")
READ, WRITE, HOLDS, STORES = range(4)
"""Kinds of transactions."""
BUILD_SECONDS = 600


@dataclass(frozen=True)
class Built:
    """A program, and the number of the hardware word of each register (by address) that hardware writes."""

    program: Path
    hardware: dict[int, int]

    def play(self, transactions: Sequence[tuple[int, int, int, int]]) -> NDArray[np.uint32]:
        """Words that the reads gave, in order."""
        given, got = self.program.with_suffix(".in"), self.program.with_suffix(".out")
        np.array(transactions, np.uint32).tofile(given)
        subprocess.run([str(self.program), str(given), str(got)], check=True, timeout=BUILD_SECONDS)
        return np.fromfile(got, np.uint32)


def build(folder: Path) -> Built:
    """Generates and compiles in a directory; takes about half a minute."""
    source = folder / "tsu.rdl"
    body, end, _ = SOURCE.read_text().rpartition("};")
    source.write_text(body + _enables(_elaborate(SOURCE)) + end + "\n")
    top = _elaborate(source)
    _export(top, folder)
    words, assigns = _hardware(top)
    (folder / "tsu_top.sv").write_text(WRAPPER.format(words=len(words), last=32 * len(words) - 1, assigns="\n".join(assigns)))
    options = ["--cc", "--exe", "--build", "-j", "2", "-O3", "-Wno-fatal", "-Wno-lint", "-Wno-style", "-CFLAGS", "-O0"]
    shutil.copy(MAIN, folder)  # make takes no path with a space
    files = ["tsu_rtl_pkg.sv", "tsu_rtl.sv", "tsu_top.sv", MAIN.name]
    command = ["verilator", *options, "--top-module", "tsu_top", "-o", "tsu_top", *files]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=BUILD_SECONDS)
    if done.returncode:
        raise RuntimeError(f"Verilator: {(done.stdout + done.stderr)[-2000:]}")
    return Built(folder / "obj_dir" / "tsu_top", words)


def _elaborate(source: Path) -> Any:
    """The register map's top."""
    from peakrdl_regblock.udps import ALL_UDPS
    from systemrdl import RDLCompiler

    compiler = RDLCompiler()
    for udp in ALL_UDPS:
        compiler.register_udp(udp)
    compiler.compile_file(str(source))
    return compiler.elaborate(top_def_name="tsu").top


def _fields(top: Any) -> Iterator[Any]:
    from systemrdl.node import FieldNode

    return (node for node in top.descendants(unroll=True) if isinstance(node, FieldNode))


def _enables(top: Any) -> str:
    """What the map needs besides: an enable where software and hardware write. Without it hardware would write in every cycle."""
    both = (f for f in _fields(top) if f.is_sw_writable and f.is_hw_writable)
    paths = dict.fromkeys(re.sub(r"\[\d+\]", "", f.get_path().removeprefix("tsu.")) for f in both)
    return "".join(f"    {path}->we = true;\n" for path in paths)


def _export(top: Any, folder: Path) -> None:
    """SystemVerilog, with its structures packed: Verilator 5.006 fails on arrays in unpacked ones."""
    from peakrdl_regblock import RegblockExporter
    from peakrdl_regblock.cpuif.passthrough import PassthroughCpuif

    RegblockExporter().export(top, str(folder), cpuif_cls=PassthroughCpuif, module_name="tsu_rtl", package_name="tsu_rtl_pkg")
    for path in folder.glob("*.sv"):
        text = re.sub(r"\bstruct\s*\{", "struct packed {", path.read_text())
        text = re.sub(r"^(\s*[\w:]+)((?:\s*\[[^\]]+\])*)\s+(\w+)\[(\d+)\];$", _packed, text, flags=re.M)
        path.write_text(re.sub(r"^(\s*\})() (\w+)\[(\d+)\];$", _packed, text, flags=re.M))


def _packed(found: re.Match[str]) -> str:
    """An array member of a structure, its index in front of its name."""
    return f"{found[1]} [{int(found[4]) - 1}:0]{found[2]} {found[3]};"


def _hardware(top: Any) -> tuple[dict[int, int], list[str]]:
    """Numbers of hardware words by address, and what their bits drive."""
    words: dict[int, int] = {}
    assigns = []
    for field in (f for f in _fields(top) if f.is_hw_writable):
        reg = field.parent
        for half in range(reg.size // 4):
            words.setdefault(reg.absolute_address + 4 * half, len(words))
        number = words[reg.absolute_address]
        path = "hwif_in." + field.get_path().split(".", 1)[1]
        bits = f"hw[{32 * number + field.low} +: {field.width}]"
        assigns.append(f"        {path}.next = {bits};")
        if field.is_sw_writable:
            ones = f" & |{bits}" if field.get_property("onwrite") is not None else ""
            assigns.append(f"        {path}.we = load[{number}]{ones};")
    return words, assigns


WRAPPER = """\
module tsu_top (
    input wire clk, input wire rst, input wire req, input wire is_write, input wire [31:0] address,
    input wire [31:0] data, input wire [31:0] bits,
    output wire read_ack, output wire write_ack, output wire [31:0] read_data,
    input wire [{last}:0] hw, input wire [{words} - 1:0] load
);
    tsu_rtl_pkg::tsu__in_t hwif_in;
    tsu_rtl_pkg::tsu__out_t hwif_out;
    always_comb begin
        hwif_in = '0;
{assigns}
    end
    tsu_rtl registers (
        .clk(clk), .rst(rst), .s_cpuif_req(req), .s_cpuif_req_is_wr(is_write), .s_cpuif_addr(address[30:0]),
        .s_cpuif_wr_data(data), .s_cpuif_wr_biten(bits), .s_cpuif_req_stall_wr(), .s_cpuif_req_stall_rd(),
        .s_cpuif_rd_ack(read_ack), .s_cpuif_rd_err(), .s_cpuif_rd_data(read_data), .s_cpuif_wr_ack(write_ack), .s_cpuif_wr_err(),
        .hwif_in(hwif_in), .hwif_out(hwif_out)
    );
endmodule
"""
"""The register file with its hardware side in plain words. A field that is cleared by writing 1 is set where the word has a 1."""
