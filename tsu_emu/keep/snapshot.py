"""A chip and its sessions at one moment, as bytes: all of it is read back bit for bit, or nothing is.

    magic 8 | version u32 | bytes of the table u32 | table | SHA-256 of all before | sections, one after the other

The table is msgpack: identity, position in the journal, and of each section name, type, shape, bytes and SHA-256. Sections are
the chip's arrays and "server", msgpack of plain values. Little-endian; docs/keeping.md is the prose.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgpack
import numpy as np
from numpy.typing import NDArray

from tsu_emu.keep.identity import Identity
from tsu_emu.state import ChipState

MAGIC = b"TSUSNAP\n"
VERSION = 1
HEAD = struct.Struct("<8sII")
HASH_BYTES = 32
SERVER = "server"
"""Name of the section that is no array of the chip."""


class SnapshotError(Exception):
    """Bytes that are no snapshot, or not one of this chip; says which part, and what would be right."""


class OtherVersion(SnapshotError):
    """A snapshot of another version of the format than this program reads."""


class Section(NamedTuple):
    """A part of a snapshot. kind : its type, as `kind_of` says it; data : its bytes"""

    kind: str
    shape: tuple[int, ...]
    data: memoryview


class Snapshot(NamedTuple):
    """What was kept.

    identity : whose state it is; number : requests carried out before; time : the link's clock
    chip : the chip's arrays; server : sessions and what else the daemon has
    """

    identity: Identity
    number: int
    time: int
    chip: dict[str, Section]
    server: dict[str, Any]


def kind_of(array: NDArray[Any]) -> str:
    """The type of an array in words; of records with all their fields."""
    return str(array.dtype.descr) if array.dtype.names else array.dtype.str


def encode(identity: Identity, number: int, time: int, state: ChipState, server: dict[str, Any]) -> list[memoryview]:
    """The bytes, in parts; those of arrays are the arrays' own, to be written before the chip goes on."""
    sections = [(name, kind_of(a), list(a.shape), _bytes_of(a)) for name, a in state._asdict().items()]
    sections.append((SERVER, "msgpack", [], memoryview(msgpack.packb(server))))
    rows = [[name, kind, shape, len(data), hashlib.sha256(data).digest()] for name, kind, shape, data in sections]
    table = msgpack.packb({"identity": list(identity), "number": number, "time": time, "sections": rows})
    head = HEAD.pack(MAGIC, VERSION, len(table)) + table
    return [memoryview(head + hashlib.sha256(head).digest()), *(data for _, _, _, data in sections)]


def _bytes_of(array: NDArray[Any]) -> memoryview:
    return memoryview(np.ascontiguousarray(array).view(np.uint8).reshape(-1).data) if array.size else memoryview(b"")


def decode(data: bytes | memoryview) -> Snapshot:
    """What was kept; SnapshotError says what is damaged, so that not a bit of it is taken."""
    view = memoryview(data)
    table, at = _table(view)
    identity = Identity(*(str(part) for part in table["identity"]))
    chip: dict[str, Section] = {}
    server: dict[str, Any] | None = None
    for name, kind, shape, length, digest in table["sections"]:
        part = view[at : at + length]
        at += length
        if len(part) != length:
            raise SnapshotError(f"section {name} is cut short: {len(part)} of {length} bytes")
        if hashlib.sha256(part).digest() != digest:
            raise SnapshotError(f"section {name} is damaged: {length} bytes that do not have their check sum")
        if name == SERVER:
            server = msgpack.unpackb(part, strict_map_key=False)
        else:
            chip[name] = Section(kind, tuple(shape), part)
    if at != len(view):
        raise SnapshotError(f"{len(view) - at} bytes follow the last section; nothing should")
    if server is None:
        raise SnapshotError(f"section {SERVER} is missing")
    return Snapshot(identity, table["number"], table["time"], chip, server)


def _table(view: memoryview) -> tuple[dict[str, Any], int]:
    """The table of sections, and where the first begins."""
    if len(view) < HEAD.size:
        raise SnapshotError(f"the head is cut short: {len(view)} of {HEAD.size} bytes")
    magic, version, length = HEAD.unpack_from(view)
    if magic != MAGIC:
        raise SnapshotError(f"this is no snapshot: it begins with {bytes(magic)!r}, not {MAGIC!r}")
    if version != VERSION:
        raise OtherVersion(f"version {version} of snapshots; this program reads version {VERSION}")
    end = HEAD.size + length
    if len(view) < end + HASH_BYTES:
        raise SnapshotError(f"the table is cut short: {len(view)} of {end + HASH_BYTES} bytes")
    if hashlib.sha256(view[:end]).digest() != view[end : end + HASH_BYTES]:
        raise SnapshotError("the table of sections is damaged: it does not have its check sum")
    table: dict[str, Any] = msgpack.unpackb(view[HEAD.size : end])
    return table, end + HASH_BYTES


def arrays_of(chip: dict[str, Section], state: ChipState) -> dict[str, NDArray[Any]]:
    """The chip's arrays, for `Chip.restore`; SnapshotError names one that this chip has otherwise."""
    found: dict[str, NDArray[Any]] = {}
    for name, array in state._asdict().items():
        section, wanted = chip.get(name), (kind_of(array), array.shape)
        if section is None:
            raise SnapshotError(f"section {name} is missing")
        if (section.kind, section.shape) != wanted:
            raise SnapshotError(
                f"section {name} is {section.kind}{list(section.shape)}; this chip has {wanted[0]}{list(wanted[1])}"
            )
        found[name] = np.frombuffer(section.data, array.dtype).reshape(array.shape)
    return found


def joined(parts: Sequence[memoryview]) -> bytes:
    """All bytes of a snapshot."""
    return b"".join(parts)
