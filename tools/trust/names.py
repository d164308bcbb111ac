"""F14: names of snapshots that want out of their directory, through the oracle's verbs and past them."""

from __future__ import annotations

import random
import string
import tempfile
from pathlib import Path

from trust.effort import Effort

from tsu_apps.report import Row
from tsu_contract.bench import Request, decode_reply, encode_request
from tsu_emu.chip import Chip
from tsu_emu.config import parse
from tsu_emu.keep.disk import DiskError, OsDisk
from tsu_emu.keep.edge import kept
from tsu_emu.server.session import Server

CONFIG = parse({"name": "named", "fabric": {"planes": 2, "topology": {"kind": "dense", "cells": 3}}})
PIECES = (
    "..",
    "/",
    "\\",
    "\0",
    "~",
    "%2e",
    "%2f",
    "․",
    "／",
    "a",
    "b",
    ".",
    "-",
    "_",
    "0",
    "tsu",
    " ",
    "\n",
    *string.punctuation,
)
FIXED = ("../out", "/tmp/out", "link", "link/out", "..", ".", "", "named-a.tsu", "a\0b", "\x2e\x2e/out", "con", "a" * 5000)


def names(rng: random.Random, count: int) -> list[str]:
    """The known ones, then random ones."""
    made = ("".join(rng.choice(PIECES) for _ in range(rng.randrange(1, 9))) for _ in range(count - len(FIXED)))
    return [*FIXED, *made]


def measure(effort: Effort) -> list[Row]:
    """Rows of F14."""
    asked, escapes, taken = names(random.Random(effort.seed), effort.size(1000, 10_000)), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        outside, inside = Path(folder) / "outside", Path(folder) / "inside"
        outside.mkdir()
        (outside / "secret").write_text("secret")
        server = Server(Chip(CONFIG))
        with kept(server, inside, False, lambda done, total: None) as found:
            (inside / "named-link.tsu").symlink_to(outside / "secret")
            for name in asked:
                for verb in ("restore", "snapshot"):
                    reply = decode_reply(
                        [bytes(f) for f in found.handlers["oracle"](encode_request(Request(verb, 1, {"name": name})))]
                    )
                    taken += reply.failure is None
        disk = OsDisk(inside)
        for name in asked:
            for act in (disk.create, disk.read):
                try:
                    act(name)
                except (DiskError, OSError):
                    continue
        disk.close()
        strangers = {path.relative_to(folder).parts[0] for path in Path(folder).rglob("*")} - {"inside", "outside"}
        escapes += len(strangers) + len(list(outside.rglob("*"))) - 1 + ((outside / "secret").read_text() != "secret")
    again = "" if not escapes else f" ({effort.again('F14')})"
    return [
        Row.at_most(f"escapes, of {len(asked)} names{again}", escapes, 0),
        Row.at_least("names that were taken, for some are sound", taken, 1),
    ]
