"""What STATUS tells: the daemon and its chip in one map, small enough for a header."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsu_emu import __version__
from tsu_emu import state as S
from tsu_emu.server.counters import Rates
from tsu_emu.server.limits import CACHED_BYTES, SESSIONS_MAX, limits
from tsu_emu.server.sessions import Role

if TYPE_CHECKING:
    from tsu_emu.server.session import Server

TEXT_MAX = 200
"""Characters of a message, or of a client's name, that are shown."""
STATM = Path("/proc/self/statm")
NEARLY = 0.9
"""Share of a limit that is worth a warning."""


@dataclass(frozen=True)
class Work:
    """A request under way: whose, and since when by the daemon's clock."""

    session: int
    since: float


def memory_bytes() -> int:
    """Memory of this process that is in use; where the system does not tell, the most that it was."""
    try:
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Status:
    """Tells the status of a server.

    queues : lengths of what the daemon holds for clients, by name; warnings : what somebody should look at.
    Both may be set by those who know.
    """

    def __init__(self, server: Server, clock: Callable[[], float]) -> None:
        self._server, self._clock, self._begun = server, clock, clock()
        self._rates = Rates(server.counters, clock)
        self.queues: Callable[[], dict[str, int]] = dict
        self.warnings: Callable[[], list[str]] = list

    @property
    def uptime_s(self) -> float:
        """Seconds since the daemon started."""
        return self._clock() - self._begun

    def body(self) -> dict[str, Any]:
        """The map, as docs/protocol.md lists it."""
        server, chip = self._server, self._server.chip
        cycles, hz = int(chip.state.time[S.NOW]), chip.capabilities.clock_hz
        observers = sum(session.role is Role.OBSERVER for session in server.sessions)
        return {
            "name": server.name,
            "boot": server.boot,
            "version": __version__,
            "kind": chip.config.cell.kind,
            "uptime_s": round(self.uptime_s, 3),
            "cycles": cycles,
            "chip_s": cycles / hz,
            "busy": self._busy(cycles),
            "sessions": {"open": len(server.sessions), "observers": observers, "subscribers": len(server.subscriptions)},
            "lease": self._lease(),
            "limits": limits(),
            "counters": server.counters.as_map(),
            "rates": {name: round(rate, 3) for name, rate in self._rates.look().items()},
            "memory_bytes": memory_bytes(),
            "queues": {"kept_bytes": server.sessions.kept_bytes, **self.queues()},
            "keeps": server.keeps,
            "last_error": server.counters.last_error[:TEXT_MAX],
            "warnings": [text[:TEXT_MAX] for text in (*self._own_warnings(), *self.warnings())][:8],
        }

    def _busy(self, cycles: int) -> dict[str, Any] | None:
        work = self._server.under_way
        if work is None:
            return None
        return {"seconds": round(self._clock() - work.since, 3), "cycles": cycles}

    def _lease(self) -> dict[str, Any] | None:
        lease = self._server.lease
        if not lease.holder or lease.over:
            return None
        return {"client": lease.client[:TEXT_MAX], "seconds": round(lease.left, 3)}

    def _own_warnings(self) -> list[str]:
        server, found = self._server, []
        if len(server.sessions) >= NEARLY * SESSIONS_MAX:
            found.append(f"{len(server.sessions)} of {SESSIONS_MAX} sessions are open")
        if server.sessions.kept_bytes >= NEARLY * CACHED_BYTES:
            found.append("replies are being let go early: the memory for kept ones is full")
        if server.counters.cut:
            found.append(f"{server.counters.cut} sessions were closed by the daemon")
        return found
