"""ELF files for tests."""

from __future__ import annotations

import struct

ROM = 0
Segment = tuple[int, bytes, int]


def elf(segments: list[Segment], entry: int = ROM, **fields: int) -> bytes:
    """A file of loadable segments (physical address, contents, length in memory); header fields by name."""
    at = 52 + 32 * len(segments)
    rows, body = b"", b""
    for address, contents, length in segments:
        rows += struct.pack("<8I", fields.get("segment", 1), at + len(body), address, address, len(contents), length, 5, 4)
        body += contents
    ident = b"\x7fELF" + bytes([fields.get("bits", 1), fields.get("order", 1), 1]) + bytes(9)
    kind, machine, flags, size = (fields.get(k, v) for k, v in (("kind", 2), ("machine", 243), ("flags", 1), ("size", 32)))
    return (
        ident
        + struct.pack("<HHIIIIIHHHHHH", kind, machine, 1, entry, 52, 0, flags, 52, size, len(segments), 0, 0, 0)
        + rows
        + body
    )
