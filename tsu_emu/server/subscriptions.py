"""Telemetry: status updates to who asked for them, as many as they have granted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tsu_contract.errors import Code, fail
from tsu_contract.wire import Request, shown
from tsu_emu.server import limits


@dataclass
class Subscription:
    """One session's updates.

    client : where they go; seq : of the request that subscribed last; every_s : seconds from one to the next
    credit : how many may still be sent; number : of the last one sent; gap : updates since then that were due and not sent
    due : when the next one is; granted : when credit was granted last
    """

    session: int
    client: bytes
    seq: int
    every_s: float
    credit: int
    due: float
    granted: float
    number: int = 0
    gap: int = 0


class Subscriptions:
    """All subscriptions of a daemon, at most SUBSCRIBERS_MAX.

    clock : seconds; only goes forward
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._of: dict[int, Subscription] = {}

    def __len__(self) -> int:
        return len(self._of)

    def set(self, request: Request, client: bytes) -> dict[str, Any]:
        """What SUBSCRIBE asks for; its reply's body. ProtocolError if there is no room, or a value is out of its range."""
        every, credit = (_integer(request.body, key) for key in ("every_ms", "credit"))
        if every == 0:
            self.end(request.session)
            return {"every_ms": 0, "credit": 0}
        if not limits.EVERY_MS_MIN <= every <= limits.EVERY_MS_MAX:
            raise fail(Code.BAD_HEADER, f"every_ms is {every}; 0, or {limits.EVERY_MS_MIN} to {limits.EVERY_MS_MAX} expected")
        if credit > limits.UPDATES_CREDIT_MAX:
            raise fail(Code.BAD_HEADER, f"credit is {credit}; at most {limits.UPDATES_CREDIT_MAX}")
        now, known = self._clock(), self._of.get(request.session)
        if known is None:
            if len(self._of) >= limits.SUBSCRIBERS_MAX:
                raise fail(Code.BUSY, f"{len(self._of)} sessions have subscribed, as many as there may be")
            known = Subscription(request.session, client, request.seq, every / 1000, credit, now, now)
            self._of[request.session] = known
        if every / 1000 != known.every_s:
            known.due = now
        if credit:
            known.granted = now
        known.client, known.seq, known.every_s, known.credit = client, request.seq, every / 1000, credit
        return {"every_ms": every, "credit": credit}

    def end(self, session: int) -> None:
        """That session gets no more updates."""
        self._of.pop(session, None)

    @property
    def wait(self) -> float | None:
        """Seconds until something is to be done here; None if there is nothing."""
        if not self._of:
            return None
        return max(min(s.due for s in self._of.values()) - self._clock(), 0.0)

    def due(self) -> Iterator[tuple[Subscription, int, int]]:
        """Those that are to get an update now, with its number and gap; they have used credit for it."""
        now = self._clock()
        for s in tuple(self._of.values()):
            if now < s.due:
                continue
            missed = int((now - s.due) / s.every_s)
            s.due += (missed + 1) * s.every_s
            if s.credit == 0:
                s.gap += missed + 1
                continue
            gap, s.gap = s.gap + missed, 0
            s.number, s.credit = s.number + 1, s.credit - 1
            yield s, s.number, gap

    def stalled(self) -> list[Subscription]:
        """Sessions that have granted nothing for too long: nothing tells that they read."""
        now = self._clock()
        return [s for s in self._of.values() if now - s.granted >= max(limits.STALLED_SECONDS, 2 * s.every_s)]


def _integer(body: dict[str, Any], key: str) -> int:
    value = body.get(key)
    if type(value) is not int or value < 0:
        raise fail(Code.BAD_HEADER, f"{key} is {shown(value)}; an integer of 0 or more expected")
    return value
