"""What a daemon has done since it started: plain numbers, cheap to add to, read by whoever wants to know."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

BUCKETS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
"""Upper bounds of the time that a request takes, in seconds."""
RATE_SECONDS = 10.0
"""Rates are over about so long."""


@dataclass
class Counters:
    """Numbers since the start of the daemon.

    requests : of all kinds; operations : carried out; refused : requests answered by an error before anything was done;
    failed : requests that ended early on the bus or the device; resent : requests whose kept reply was given again;
    cut : sessions closed by the daemon; gone : replies whose client had left; updates : sent to subscribers; gaps : updates
    that were not, for want of credit; leases : taken; busy_s : seconds in which requests were carried out
    buckets : requests of kind OPERATE by the time they took, as BUCKETS, and those beyond
    last_error : the last refusal or failure, in words
    """

    requests: int = 0
    operations: int = 0
    refused: int = 0
    failed: int = 0
    resent: int = 0
    cut: int = 0
    gone: int = 0
    updates: int = 0
    gaps: int = 0
    leases: int = 0
    busy_s: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    last_error: str = ""

    def took(self, seconds: float) -> None:
        """An OPERATE was carried out in that time."""
        self.buckets[bisect_left(BUCKETS, seconds)] += 1
        self.busy_s += seconds

    def as_map(self) -> dict[str, int]:
        """The counts, by name."""
        names = ("requests", "operations", "refused", "failed", "resent", "cut", "gone", "updates", "gaps", "leases")
        return {name: getattr(self, name) for name in names}


class Rates:
    """Requests and operations per second over the last while, from looks at the counters.

    clock : seconds; only goes forward
    """

    def __init__(self, counters: Counters, clock: Callable[[], float]) -> None:
        self._counters, self._clock = counters, clock
        self._looks = deque([(clock(), 0, 0)])

    def look(self) -> dict[str, float]:
        """Rates since the look of RATE_SECONDS ago, or the first one."""
        now, c = self._clock(), self._counters
        while len(self._looks) > 1 and self._looks[1][0] <= now - RATE_SECONDS:
            self._looks.popleft()
        then, requests, operations = self._looks[0]
        if now - self._looks[-1][0] >= 1.0:
            self._looks.append((now, c.requests, c.operations))
        seconds = max(now - then, 1e-3)
        return {"requests": (c.requests - requests) / seconds, "operations": (c.operations - operations) / seconds}
