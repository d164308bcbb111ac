"""Parts of the C firmware by themselves: msgpack, fixed-point arithmetic, constants."""

from __future__ import annotations

import ctypes
import math
import random
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import msgpack

from c_firmware.building import SOURCES, built
from tsu_contract.program import Opcode
from tsu_contract.registers import MAP_HASH, REGISTERS


def lines_of(value: Any) -> Iterator[str]:
    """What msgpack_check prints; ValueError of what is not in the subset. Maps come as tuples of pairs."""
    match value:
        case None:
            yield "nil"
        case bool():
            yield f"bool {int(value)}"
        case int():
            yield f"int {value}"
        case str():
            raw = value.encode(errors="surrogateescape")
            yield f"text {len(raw)} {value}"
        case list() | tuple():
            yield f"map {len(value)}" if isinstance(value, tuple) else f"array {len(value)}"
            for item in value:
                for part in item if isinstance(value, tuple) else (item,):
                    yield from lines_of(part)
        case _:
            raise ValueError(type(value))


def expected(data: bytes) -> str:
    try:
        hook: Any = tuple
        value = msgpack.unpackb(data, strict_map_key=False, object_pairs_hook=hook, unicode_errors="surrogateescape")
        return "\n".join([*lines_of(value), "end"])
    except (ValueError, TypeError, msgpack.UnpackException):
        return "bad"


def decoded(data: bytes) -> str:
    ran = subprocess.run([built("msgpack_check")], input=data, capture_output=True, timeout=20)
    assert ran.returncode == 0, "reading and skipping disagree"
    lines = ran.stdout.decode(errors="surrogateescape").rstrip("\n")
    return "bad" if lines.endswith("bad") else lines


def some_value(rng: random.Random, depth: int = 0) -> Any:
    """A value of the subset; texts without line ends, which would spoil the comparison."""
    kind = rng.randrange(8 if depth < 4 else 5)
    if kind < 2:
        return rng.randrange(-(1 << 63), 1 << 64) >> rng.randrange(64)
    if kind < 5:
        return [None, True, "x" * rng.choice([0, 5, 31, 32, 255, 300])][kind - 2]
    count = rng.choice([0, 1, 3, 15, 16]) if depth < 2 else rng.randrange(3)
    if kind < 7:
        return [some_value(rng, depth + 1) for _ in range(count)]
    return {f"k{n}": some_value(rng, depth + 1) for n in range(count)}


def test_msgpack_reads_what_python_reads() -> None:
    rng = random.Random(1)
    good = 0
    for _ in range(60):
        data = msgpack.packb(some_value(rng))
        assert decoded(data) == expected(data)
        good += expected(data) != "bad"
    assert good == 60


def test_msgpack_refuses_what_python_refuses() -> None:
    """Bytes changed, cut and doubled: both sides read the same values or none. Line ends in texts make no difference to that."""
    rng = random.Random(2)
    bad = 0
    for _ in range(150):
        data = bytearray(
            msgpack.packb(["TSU", 1, 2, 7, 300, 0, 70000, 1 << 40, [[1, 2, 3]], 0, {"message": "x" * 40, "index": None}])
        )
        for _ in range(rng.randrange(1, 3)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        data = data[: rng.choice([len(data), rng.randrange(1, len(data))])]
        assert decoded(bytes(data)) == expected(bytes(data)), bytes(data).hex()
        bad += expected(bytes(data)) == "bad"
    assert 20 < bad < 150


def fixed() -> ctypes.CDLL:
    library = ctypes.CDLL(str(built("libfixed.so")))
    library.fixed_root.argtypes, library.fixed_root.restype = [ctypes.c_uint64], ctypes.c_uint32
    library.fixed_ratio.argtypes, library.fixed_ratio.restype = [ctypes.c_int64, ctypes.c_int64], ctypes.c_int64
    return library


def test_atanh_in_fixed_point() -> None:
    """Within 2^-22 + the step of the mean, 1e-9 / (1 - m^2), of the true one, odd, and limited at .9999."""
    library = fixed()
    for mean in (0.0, 1e-6, 0.01, -0.2, 0.5, 0.9, -0.99, 0.9998):
        word = round(mean * 2**30)
        true = math.atanh(word / 2**30)
        assert abs(library.fixed_atanh(word) / 2**24 - true) < 2**-22 + 2**-30 / (1 - mean * mean)
        assert abs(library.fixed_atanh(-word) + library.fixed_atanh(word)) <= 1
    assert abs(library.fixed_atanh(1 << 30) / 2**24 - math.atanh(0.9999)) < 2**-22 + 2**-30 / 2e-4


def test_roots_and_ratios() -> None:
    library = fixed()
    for value in (0, 1, 2, 3, 4, 99, 100, (1 << 32) - 1, 1 << 32, (1 << 64) - 1):
        assert library.fixed_root(value) == math.isqrt(value)
    for a, b in ((7, 2), (-7, 2), (5, 3), (-5, 3), (0, 9), (10**12, 7)):
        assert abs(library.fixed_ratio(a, b) - a / b) <= 0.5


def test_constants_are_the_contracts() -> None:
    enumerated = re.findall(r"OPCODE_(\w+) = (\d+)", (SOURCES / "firmware/registers.h").read_text())
    assert len(enumerated) >= 6
    assert all(Opcode[name] == int(value) for name, value in enumerated)
    values = (built("msgpack_check").parent / "tsu_values.h").read_text()
    assert f'"{MAP_HASH}"' in values
    for label, value in REGISTERS["SEQ.STATUS"].fields["STATE"].values.items():
        assert f"#define TSU_SEQ_STATUS_STATE_{label} {value}u\n" in values
