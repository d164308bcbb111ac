"""What a daemon tells its log: events by name, each with chip time and session, none too often."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

LOGGER = logging.getLogger("tsu_emu.server")
ALL = logging.getLogger("tsu_emu")
"""Also of what keeps the chip."""
OFTEN, WITHIN_SECONDS = 10, 10.0
"""So many of one event are told within so long; what was left out is counted when the next one is told."""


class Events:
    """Tells events of one daemon.

    cycle : chip time; clock : seconds, only goes forward
    """

    def __init__(self, cycle: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._cycle, self._clock = cycle, clock
        self._told: dict[str, tuple[float, int]] = {}

    def tell(self, event: str, level: int = logging.INFO, session: int | None = None, **details: Any) -> None:
        """An event has happened. Of a session's number, which is as good as a key, the last six hexadecimal digits are told."""
        if not LOGGER.isEnabledFor(level):
            return
        now = self._clock()
        since, count = self._told.get(event, (now, 0))
        left_out = 0
        if now - since >= WITHIN_SECONDS:
            left_out, since, count = max(count - OFTEN, 0), now, 0
        self._told[event] = since, count + 1
        if count >= OFTEN:
            return
        facts: dict[str, Any] = {"cycle": self._cycle()}
        if session is not None:
            facts["session"] = f"{session & 0xFFFFFF:x}"
        facts |= details | ({"left_out": left_out} if left_out else {})
        LOGGER.log(level, event, extra={"facts": facts})


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, event, then its facts."""

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {"time": f"{seconds}.{int(record.msecs):03d}Z", "level": record.levelname.lower(), "event": record.getMessage()}
        return json.dumps(line | getattr(record, "facts", {}), default=str)


class PlainLines(logging.Formatter):
    """The same for people."""

    def format(self, record: logging.LogRecord) -> str:
        facts = " ".join(f"{name}={value}" for name, value in getattr(record, "facts", {}).items())
        moment = time.strftime("%H:%M:%S", time.localtime(record.created))
        return f"tsu-emu: {moment} {record.levelname.lower()}: {record.getMessage()} {facts}".rstrip()


def tell_stderr(level: int, as_json: bool) -> None:
    """From now on events of that level and above go to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else PlainLines())
    ALL.handlers[:] = [handler]
    ALL.setLevel(level)
    ALL.propagate = False
