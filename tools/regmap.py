"""Generates what hangs on the register map from `driver/tsu_contract/map/tsu.rdl`.

tools/run regmap            write the folded table, the C header and docs/registers.md
tools/run regmap --check    compare them with what is committed; exit 1 on a difference
tools/run regmap --with FILE --out DIR
                            the same, with addresses and registers of one's own in SystemRDL, into a directory;
                            docs/own-registers.md
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from peakrdl_cheader.exporter import CHeaderExporter
from systemrdl import RDLCompileError, RDLCompiler
from systemrdl.component import Addrmap
from systemrdl.node import AddrmapNode, FieldNode, MemNode, Node, RegfileNode, RegNode
from systemrdl.rdltypes import AccessType, OnWriteType

from tsu_contract.extension import BASE, RegisterMap, map_of
from tsu_contract.registers import REGISTERS, MapError

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "driver/tsu_contract/map/tsu.rdl"
TABLE = ROOT / "driver/tsu_contract/map/tsu.json"
HEADER = ROOT / "driver/tsu_contract/include/tsu.h"
PAGE = ROOT / "docs/registers.md"


PLAIN: dict[str, tuple[Any, ...]] = {
    "sw": (AccessType.r, AccessType.rw, AccessType.w),
    "onread": (None,),
    "onwrite": (None, OnWriteType.woclr),
    "counter": (False,),
    "swwe": (False,),
    "swwel": (False,),
}
"""Properties of a user's field that change what an access does, and those of their values that a chip carries out or `map_of`
refuses by name."""


def elaborate() -> AddrmapNode:
    compiler = RDLCompiler()
    compiler.compile_file(str(SOURCE))
    return compiler.elaborate(top_def_name="tsu").top


def elaborate_at(addresses: dict[str, int], registers: RegisterMap) -> AddrmapNode:
    """As `elaborate`, with blocks and windows by name at other addresses, and windows of the sizes that a map has."""
    lines = []
    for child in sorted(elaborate().children(), key=lambda child: addresses[child.inst_name]):
        name, kind = child.inst_name, child.type_name
        if isinstance(child, MemNode):
            kind = f"external {kind} #(.ENTRIES({registers.windows[name].size // 4}))"
        lines.append(f"{kind} {name} @{addresses[name]:#x};")
    compiler = RDLCompiler()
    compiler.compile_file(str(SOURCE))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "moved.rdl"
        path.write_text("\n".join(["addrmap moved {", "default regwidth = 32; littleendian;", *lines, "};"]))
        compiler.compile_file(str(path))
    return compiler.elaborate(top_def_name="moved", inst_name="tsu").top


def elaborate_own(path: Path) -> AddrmapNode:
    """The last address map of a user's file, which may use the types and properties of ours. MapError: it has none, or one with
    what registers of one's own cannot do."""
    compiler = RDLCompiler()
    compiler.compile_file(str(SOURCE))
    ours = set(compiler.root.comp_defs)
    try:
        compiler.compile_file(str(path))
    except UnicodeDecodeError as error:
        raise MapError(f"{path} is not UTF-8: {error}") from None
    names = [name for name, d in compiler.root.comp_defs.items() if name not in ours and isinstance(d, Addrmap)]
    if not names:
        raise MapError(f"{path}: it defines no addrmap")
    top = compiler.elaborate(top_def_name=names[-1]).top
    for node in top.descendants(unroll=False):
        refuse(node)
    return top


def refuse(node: Node) -> None:
    """MapError: the folded table has no word for what a user says of a node, and the chip would not do it."""
    name = node.get_path(empty_array_suffix="").partition(".")[2]
    if isinstance(node, RegfileNode) and node.is_array:
        raise MapError(f"{name}: an array of blocks; each needs a name of its own")
    if isinstance(node, FieldNode):
        if (node.get_property("range_min", default=None) is None) != (node.get_property("range_max", default=None) is None):
            raise MapError(f"{name}: range_min and range_max go together")
        for key, allowed in PLAIN.items():
            value = node.get_property(key)
            if value not in allowed:
                said = str(getattr(value, "name", value)).lower()
                raise MapError(f"{name}: {key} = {said}; a field is plain storage, rw, r or w1c (onwrite = woclr) to the host")


def access_of(field: FieldNode) -> str:
    """How software sees a field: r, w, rw, w1c or pulse."""
    if field.get_property("singlepulse"):
        return "pulse"
    if field.get_property("onwrite") == OnWriteType.woclr:
        return "w1c"
    return ("r" if field.is_sw_readable else "") + ("w" if field.is_sw_writable else "")


def fold_field(field: FieldNode) -> dict[str, Any]:
    encode = field.get_property("encode")
    values = {m.name: {"value": m.value, "desc": m.rdl_desc or ""} for m in encode} if encode else {}
    return {
        "name": field.inst_name,
        "low": field.low,
        "width": field.width,
        "reset": field.get_property("reset") or 0,
        "access": access_of(field),
        "unit": field.get_property("unit", default=""),
        "min": field.get_property("range_min", default=None),
        "max": field.get_property("range_max", default=None),
        "values": values,
        "desc": field.get_property("desc") or "",
    }


def dotted(node: RegNode | MemNode) -> str:
    return node.get_path(empty_array_suffix="").split(".", 1)[1]


def fold_register(reg: RegNode) -> dict[str, Any]:
    return {
        "name": dotted(reg),
        "address": reg.raw_absolute_address,
        "count": reg.n_elements,
        "words": reg.size // 4,
        "title": reg.get_property("name"),
        "desc": reg.get_property("desc") or "",
        "firmware_write": bool(reg.get_property("firmware_write", default=False)),
        "per_plane": bool(reg.get_property("per_plane", default=False)),
        "free_running": bool(reg.get_property("free_running", default=False)),
        "fields": [fold_field(f) for f in reg.fields()],
    }


def fold_window(mem: MemNode) -> dict[str, Any]:
    access = ("r" if mem.is_sw_readable else "") + ("w" if mem.is_sw_writable else "")
    return {
        "name": dotted(mem),
        "address": mem.raw_absolute_address,
        "size": mem.size,
        "access": access,
        "shape": mem.get_property("shape", default="").split(","),
        "dtype": mem.get_property("dtype", default=""),
        "cost": mem.get_property("cost", default=""),
        "min": mem.get_property("value_min", default=None),
        "max": mem.get_property("value_max", default=None),
        "title": mem.get_property("name"),
        "desc": mem.get_property("desc") or "",
    }


def fold(top: AddrmapNode) -> dict[str, Any]:
    nodes = list(top.descendants(unroll=False))
    return {
        "registers": [fold_register(n) for n in nodes if isinstance(n, RegNode)],
        "windows": [fold_window(n) for n in nodes if isinstance(n, MemNode)],
    }


def field_row(field: dict[str, Any]) -> str:
    high = field["low"] + field["width"] - 1
    bits = f"{high}:{field['low']}" if field["width"] > 1 else f"{high}"
    text = field["desc"]
    if field["max"] is not None:
        text += f" Range {field['min']}..{field['max']}."
    for name, value in field["values"].items():
        text += f" <br>{value['value']} `{name}`: {value['desc']}"
    text = text.replace("|", r"\|")
    return f"| {bits} | {field['name']} | {field['access']} | {field['reset']:#x} | {field['unit']} | {text} |"


def page(table: dict[str, Any]) -> str:
    lines = [
        "# Register reference",
        "",
        "Generated by `tools/run regmap` from `driver/tsu_contract/map/tsu.rdl`; do not edit.",
        "",
        "Registers are 32 bits wide, little-endian, word-aligned. Access: `r`, `w`, `rw`; `w1c` write 1 to clear; `pulse` acts",
        "once and reads 0. A write that sets a bit outside every field, or a field outside its range, is refused. A 64-bit",
        "counter is read low word first, which latches the high word.",
        "",
        "## Registers",
    ]
    for reg in table["registers"]:
        array = f"[{reg['count']}]" if reg["count"] > 1 else ""
        lines += ["", f"### {reg['address']:#06x} {reg['name']}{array}", "", f"{reg['title']}. {reg['desc']}".strip()]
        notes = []
        if reg["firmware_write"]:
            cleared = any(f["access"] == "w1c" for f in reg["fields"])
            notes.append("Plain bits to the firmware." if cleared else "Written by the boot firmware only.")
        if reg["per_plane"]:
            notes.append("Bit k of word w is plane 32 w + k; bits of planes the chip lacks are reserved.")
        if reg["free_running"]:
            notes.append("Counts in every cycle; WAIT on it is refused, use DELAY.")
        lines += ["", *([" ".join(notes), ""] if notes else [])]
        lines += ["| bits | field | access | reset | unit | meaning |", "|---|---|---|---|---|---|"]
        lines += [field_row(f) for f in reversed(reg["fields"])]
    lines += [
        "",
        "## Memory windows",
        "",
        "Elements are little-endian and packed without gaps, outermost dimension first; access is by 32-bit words, single or in",
        "bursts. `cost` names the row of the timing table that each word of a burst costs.",
        "",
        "| address | window | access | shape | type | range | cost | meaning |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for w in table["windows"]:
        span = f"{w['min']} .. {w['max']}" if w["min"] else ""
        shape = "[" + "][".join(w["shape"]) + "]"
        lines.append(
            f"| {w['address']:#010x} | {w['name']} | {w['access']} | {shape} | {w['dtype']} | {span} | {w['cost']} "
            f"| {w['title']}. {w['desc']} |"
        )
    return "\n".join(lines) + "\n"


def c_header(top: AddrmapNode) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{top.inst_name}.h"
        CHeaderExporter().export(top, str(path), reuse_typedefs=False)
        return path.read_text()


def outputs() -> dict[Path, str]:
    top = elaborate()
    table = fold(top)
    return {
        TABLE: json.dumps(table, indent=1) + "\n",
        HEADER: c_header(top),
        PAGE: page(table),
    }


def addresses_of(registers: RegisterMap) -> dict[str, int]:
    """Of the contract's blocks and windows, by name."""
    out = {name: window.address for name, window in registers.windows.items()}
    for name in REGISTERS:
        block, address = name.split(".")[0], registers.register(name).address
        out[block] = min(out.get(block, address), address)
    return out


def merged(table: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """A folded table with the addresses, and the windows' sizes, that a user's has for the same names, and with its further
    registers. MapError: a row of the same name is another one, or a block of the contract is not whole."""
    out: dict[str, Any] = {}
    for kind, free in (("registers", ("address",)), ("windows", ("address", "size"))):
        given = {row["name"]: row for row in more[kind]}
        blocks = {name.split(".")[0] for name in given}
        out[kind] = []
        for row in table[kind]:
            name, found = row["name"], given.pop(row["name"], None)
            if found is None and name.split(".")[0] in blocks:
                raise MapError(f"{name}: the block {name.split('.')[0]} is the contract's, and has this; give yours another name")
            if found is not None and found != row | {key: found[key] for key in free}:
                raise MapError(f"{name}: only its address may be another than the contract's")
            out[kind].append(found or row)
        out[kind] += given.values()
    for window in out["windows"][len(table["windows"]) :]:
        raise MapError(f"{window['name']}: a map of one's own has registers, and no memories but the contract's")
    return out


def outputs_with(path: Path, folder: Path) -> dict[Path, str]:
    """A contract with a user's addresses and registers: what `make CONTRACT=DIR` of the firmware, `map.file` and
    `tsu.open(map=)` take.

    MapError names what the contract does not allow.
    """
    base, own = elaborate(), elaborate_own(path)
    table = merged(fold(base), fold(own))
    registers = map_of(table)
    addresses = addresses_of(registers)
    for name, address in addresses.items():
        if address != addresses_of(BASE)[name]:
            print(f"{address:#010x} {name}")
    for register in registers.own:
        print(f"{register.address:#06x} {register.name}" + (f"[{register.count}]" if register.count > 1 else ""))
    return {
        folder / "map/tsu.json": json.dumps(table, indent=1) + "\n",
        folder / "include/tsu.h": c_header(elaborate_at(addresses, registers) if registers.places else base),
        **({folder / f"include/{own.inst_name}.h": c_header(own)} if registers.own else {}),
        folder / "registers.md": page(table),
    }


def write(files: dict[Path, str]) -> None:
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print("wrote", path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 if a committed file is out of date")
    parser.add_argument("--with", dest="own", type=Path, metavar="FILE", help="registers of one's own, SystemRDL")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the files with them go")
    given = parser.parse_args()
    if given.own or given.out:
        if not (given.own and given.out) or given.check:
            parser.error("--with FILE and --out DIR go together, without --check")
        try:
            write(outputs_with(given.own, given.out))
        except (MapError, RDLCompileError, OSError) as error:
            print(f"tools/run regmap: {error}", file=sys.stderr)
            return 2
        return 0
    if not given.check:
        write(outputs())
        return 0
    stale = [str(path.relative_to(ROOT)) for path, text in outputs().items() if not path.exists() or path.read_text() != text]
    if stale:
        print("out of date, run `tools/run regmap`:", ", ".join(stale), file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
