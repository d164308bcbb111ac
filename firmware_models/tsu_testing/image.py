"""What an ELF file says of addresses: functions, and lines of source by DWARF. Needs pyelftools."""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path
from typing import Any, NamedTuple


class Span(NamedTuple):
    """Addresses begin .. end - 1 come from a line of a file."""

    begin: int
    end: int
    file: str
    line: int


class Function(NamedTuple):
    """A function or label of a section with code."""

    begin: int
    size: int
    name: str


class Image:
    """Names and lines of one ELF file. ImportError: pyelftools is not installed (`pip install 'tsu-emu[coverage]'`).

    functions : by address; spans : by address, none without debugging information; paths as the compiler was given them
    """

    def __init__(self, path: Path) -> None:
        from elftools.elf.elffile import ELFFile

        self._path = path
        with path.open("rb") as file:
            elf = ELFFile(file)
            self.functions, self._symbols = _functions(elf)
            self.spans = _spans(elf.get_dwarf_info()) if elf.has_dwarf_info() else []
        self._begins, self._span_begins = [f.begin for f in self.functions], [s.begin for s in self.spans]

    def address(self, name: str) -> int:
        """Of a symbol. KeyError: there is none of that name."""
        if name not in self._symbols:
            raise KeyError(f"{self._path} has no symbol {name!r}")
        return self._symbols[name]

    def place(self, address: int) -> str:
        """In words, such as `run+0x12 guarded.c:98`; "" if nothing is known."""
        parts = []
        k = bisect_right(self._begins, address) - 1
        if k >= 0 and address < self.functions[k].begin + max(self.functions[k].size, 1):
            parts.append(f"{self.functions[k].name}+{address - self.functions[k].begin:#x}")
        j = bisect_right(self._span_begins, address) - 1
        if j >= 0 and address < self.spans[j].end:
            parts.append(f"{Path(self.spans[j].file).name}:{self.spans[j].line}")
        return " ".join(parts)


def _functions(elf: Any) -> tuple[list[Function], dict[str, int]]:
    """Functions by address, and addresses of all named symbols."""
    code = {n for n, section in enumerate(elf.iter_sections()) if section["sh_flags"] & 4}
    table = elf.get_section_by_name(".symtab")
    entries = [s for s in table.iter_symbols() if s.name] if table is not None else []
    found = {}
    for entry in entries:
        if entry["st_shndx"] in code and entry["st_info"]["type"] == "STT_FUNC":
            found[entry["st_value"]] = Function(entry["st_value"], entry["st_size"], entry.name)
    return [found[key] for key in sorted(found)], {entry.name: entry["st_value"] for entry in entries}


def _spans(dwarf: Any) -> list[Span]:
    """Rows of all line tables, each up to the next address of its sequence."""
    spans = []
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        if program is None:
            continue
        names = _names(program, unit)
        before = None
        for entry in program.get_entries():
            state = entry.state
            if state is None:
                continue
            if before is not None and state.address > before.address and before.line:
                spans.append(Span(before.address, state.address, names[before.file], before.line))
            before = None if state.end_sequence else state
    return sorted(spans)


def _names(program: Any, unit: Any) -> dict[int, str]:
    """Paths by the number that a line table calls them by; relative ones are taken from where the compiler was started."""
    header, top = program.header, unit.get_top_DIE()
    folder = top.attributes["DW_AT_comp_dir"].value.decode() if "DW_AT_comp_dir" in top.attributes else ""
    since_5 = header["version"] >= 5
    folders = [entry.decode() if isinstance(entry, bytes) else str(entry) for entry in header["include_directory"]]
    folders = folders if since_5 else [folder, *folders]
    paths = {}
    for k, entry in enumerate(header["file_entry"], start=0 if since_5 else 1):
        there = folders[entry.dir_index]
        paths[k] = (Path(folder) / ("" if there == folder else there) / entry.name.decode()).as_posix()
    return paths
