"""The daemon's side of a snapshot: sessions as plain values, and back."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import asdict, fields, replace
from typing import Any

from tsu_emu.server.sessions import Role, Session, Sessions

KEPT_BYTES = 16 << 20
"""Bytes of older replies in a snapshot; the newest reply of each session is in it whatever its size."""
NAMES = tuple(f.name for f in fields(Session) if f.name not in ("replies", "heard", "peer"))


def packed(sessions: Sessions) -> list[dict[str, Any]]:
    """Of each session its values, and "replies", (number, frames) each; the one that has been silent longest first."""
    rows, left = [], KEPT_BYTES
    for session in reversed(list(sessions)):
        kept = []
        for place, (seq, frames) in enumerate(reversed(session.replies.items())):
            size = sum(map(len, frames))
            if place and size > left:
                break
            left -= size if place else 0
            kept.append([seq, [bytes(frame) for frame in frames]])
        values = asdict(replace(session, replies=OrderedDict()))
        rows.append({name: values[name] for name in NAMES} | {"replies": kept[::-1]})
    return rows[::-1]


def unpacked(rows: list[dict[str, Any]]) -> list[Session]:
    """Sessions as they were; values that they had not yet are what they are in a new one."""
    sessions = []
    for row in rows:
        replies = OrderedDict((seq, list(frames)) for seq, frames in row["replies"])
        values = {name: row[name] for name in NAMES if name in row}
        values["role"] = Role(values.get("role", Role.OPERATOR))
        sessions.append(Session(**values, replies=replies))
    return sessions
