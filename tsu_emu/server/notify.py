"""Words with a service manager, by systemd's notify protocol: ready, stopping, alive, what goes on.

Source: sd_notify(3): datagrams of KEY=VALUE lines to the socket that NOTIFY_SOCKET names; "@" begins an abstract address.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

STATUS_SECONDS = 5.0


class Notifier:
    """Tells whoever started the daemon, if it wants to know.

    status : a sentence about what goes on, told every few seconds; watchdog_s : seconds after which the manager takes silence for
    death, None if it does not look; clock : seconds, only goes forward
    """

    def __init__(
        self, status: Callable[[], str], environment: Mapping[str, str] = os.environ, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._status, self._clock = status, clock
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = environment.get("WATCHDOG_USEC", "")
        self.watchdog_s = int(microseconds) / 1e6 if ours and microseconds.isdecimal() and int(microseconds) else None
        self._alive_at = self._told_at = float("-inf")

    @property
    def every_s(self) -> float | None:
        """How often `beat` is to be called; None if nobody wants to hear."""
        if not self._address:
            return None
        return STATUS_SECONDS if self.watchdog_s is None else min(self.watchdog_s / 4, STATUS_SECONDS)

    def ready(self) -> None:
        """The daemon answers."""
        self._send("READY=1")

    def stopping(self) -> None:
        """It is about to end."""
        self._send("STOPPING=1")

    def beat(self) -> None:
        """It is alive; to be called from the loop that does the work."""
        now = self._clock()
        if self.watchdog_s is not None and now - self._alive_at >= self.watchdog_s / 4:
            self._alive_at = now
            self._send("WATCHDOG=1")
        if now - self._told_at >= STATUS_SECONDS:
            self._told_at = now
            self._send(f"STATUS={self._status()}")

    def _send(self, text: str) -> None:
        if self._address:
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
                to.setblocking(False)
                to.sendto(text.replace("\n", " ").encode(), self._address)
