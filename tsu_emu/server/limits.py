"""What a daemon takes of its clients, and what it keeps for them; docs/protocol.md, "Limits", says why each is as it is."""

from __future__ import annotations

from tsu_contract import wire

SESSIONS_MAX = 1000
"""Open sessions. One more makes the most silent one close, if that has been silent for SILENT_SECONDS; else it is refused."""
SILENT_SECONDS = 60.0
CONNECTION_SESSIONS = 64
"""Open sessions that one connection has opened; for one more the same holds as for all."""
CACHED_REPLIES = 16
"""Replies kept for each session."""
CACHED_BYTES = 256 << 20
"""Bytes of replies kept for all sessions together; the newest reply is kept whatever its size."""
CREDIT = 64
"""Requests of a session that may await their turn while another request is under way; one more cuts the session."""
WAITING_REQUESTS, WAITING_BYTES = 4096, 512 << 20
"""Requests of all sessions that may await their turn; further ones are refused."""
QUEUED_REPLIES, QUEUED_BYTES = 1000, 256 << 20
"""Replies, and bytes of them, that may wait for a client that does not read; one more cuts the session."""
LEASE_SECONDS_MAX = 3600.0
SUBSCRIBERS_MAX = 100
UPDATES_CREDIT_MAX = 100
"""Updates that a subscriber can grant at once."""
EVERY_MS_MIN, EVERY_MS_MAX = 100, 3_600_000
"""Time between two updates. In the midst of a long request the daemon looks up about every 30 ms."""
STALLED_SECONDS = 9.0
"""A subscriber that has granted nothing for so long, or for twice the time between two updates, is cut."""


def limits() -> dict[str, int]:
    """As HELLO and STATUS tell them."""
    return {
        "operations": wire.OPERATIONS_MAX,
        "frames": wire.FRAMES_MAX,
        "header_bytes": wire.HEADER_BYTES_MAX,
        "payload_bytes": wire.PAYLOAD_BYTES_MAX,
        "sessions": SESSIONS_MAX,
        "silent_s": int(SILENT_SECONDS),
        "connection_sessions": CONNECTION_SESSIONS,
        "cached_replies": CACHED_REPLIES,
        "cached_bytes": CACHED_BYTES,
        "credit": CREDIT,
        "waiting": WAITING_REQUESTS,
        "waiting_bytes": WAITING_BYTES,
        "queued_replies": QUEUED_REPLIES,
        "queued_bytes": QUEUED_BYTES,
        "lease_s": int(LEASE_SECONDS_MAX),
        "subscribers": SUBSCRIBERS_MAX,
        "updates": UPDATES_CREDIT_MAX,
    }
