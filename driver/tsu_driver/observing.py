"""Looking at a chip that others operate: status, registers, windows, updates; nothing here has an effect on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from types import TracebackType
from typing import Any, Self

from numpy.typing import NDArray

from tsu_contract.capabilities import Capabilities
from tsu_contract.extension import BASE, RegisterMap
from tsu_contract.wire import Kind, Reply, Request
from tsu_driver.batch import Batch
from tsu_driver.boot import read_capabilities
from tsu_driver.curve import SCHEME
from tsu_driver.errors import HostError, LinkError, LinkTimeout, error_of
from tsu_driver.links import Link, ZmqLink
from tsu_driver.names import find_map, seconds
from tsu_driver.session import Session
from tsu_driver.windows import Layouts

EVERY_S = 0.1, 3600.0
"""Seconds from one update to the next."""
CREDIT = 10
"""Updates granted at a time; half of them used, as many are granted anew."""
_numbers = count(1)


@dataclass(frozen=True)
class Update:
    """One of a row of status updates.

    number : from 1; gap : updates before it that were due and not sent; status : as `tsu_driver.status` gives it
    """

    number: int
    gap: int
    status: dict[str, Any]


def status(url: str, *, timeout_s: float = 5.0) -> dict[str, Any]:
    """What a daemon and its chip are at, as a map; docs/protocol.md, STATUS, lists the keys.

    url : as of `tsu_driver.open`, without `emu:`. It is answered at any time, also in the midst of another host's long run.
    LinkTimeout: nobody answers within `timeout_s` seconds.
    """
    timeout_s = seconds(timeout_s, "timeout_s")
    link = ZmqLink(_endpoint(url))
    try:
        return _status(link, timeout_s)
    finally:
        link.close()


def observe(url: str, *, timeout_s: float = 30.0, map: str | os.PathLike[str] | None = None) -> Observer:
    """A session that looks and cannot do anything else; url, time-out and map as of `tsu_driver.open`, without `emu:`."""
    registers, timeout_s = find_map(map), seconds(timeout_s, "timeout_s")
    return Observer(ZmqLink(_endpoint(url)), timeout_s=timeout_s, registers=registers)


class Observer:
    """Looks at a chip without chip time and without any effect. Made by `observe`; a context manager. Not for several threads.

    What others have under way ends first, but for `status` and `updates`, which are answered at any time.
    capabilities : what the chip says of itself; name : what its daemon calls it
    """

    def __init__(self, link: ZmqLink, *, timeout_s: float = 30.0, registers: RegisterMap = BASE) -> None:
        self._link, self._session = link, Session(link, timeout_s, observes=True, registers=registers)
        try:
            self.capabilities: Capabilities = read_capabilities(self._session)
        except BaseException:
            self._session.close()
            raise
        self.name = self._session.name
        self._layouts = Layouts(self.capabilities, registers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the session. May be called again."""
        self._session.close()

    def read_register(self, path: str, index: int = 0) -> int:
        """Value of a register (64-bit counters whole), or of a field, as it is at this moment of chip time."""
        batch = self.batch()
        ticket = batch.read_path(path, index)
        batch.execute()
        return ticket.value

    def read_window(self, name: str, start: int = 0, count: int | None = None) -> NDArray[Any]:
        """Elements of a window, to its end if count is None."""
        batch = self.batch()
        ticket = batch.read_window(name, start, count)
        batch.execute()
        return ticket.value

    def batch(self) -> Batch:
        """Several looks at one moment; HostError when it is executed if there is anything in it but reads."""
        return Batch(self._session, self._layouts)

    def status(self) -> dict[str, Any]:
        """As `tsu_driver.status`."""
        return _status(self._link, self._session.timeout_s)

    def updates(self, every_s: float = 1.0) -> Iterator[Update]:
        """Status updates, one every so many seconds (.1 to 3600), until the loop over them ends. Meanwhile nothing else is asked
        here; what is late is counted in `gap`. HostError: another number. LinkTimeout: none came for `timeout_s` seconds more
        than it should take."""
        if not EVERY_S[0] <= every_s <= EVERY_S[1]:
            raise HostError(f"every_s = {every_s}; {EVERY_S[0]:g} to {EVERY_S[1]:g} seconds expected")
        every_ms = round(1000 * every_s)
        try:
            self._subscribe(every_ms, CREDIT)
            used = 0
            while True:
                reply = self._link.next(every_s + self._session.timeout_s)
                if reply is None:
                    raise LinkTimeout(f"no update from {self._link.endpoint} within {every_s + self._session.timeout_s:g} s")
                if not self._tells(reply):
                    continue
                used += 1
                if used * every_s >= 3.0 or used >= CREDIT // 2:
                    self._subscribe(every_ms, CREDIT)
                    used = 0
                yield Update(int(reply.body["number"]), int(reply.body["gap"]), dict(reply.body["status"]))
        finally:
            with suppress(LinkError):
                self._subscribe(0, 0)

    def _tells(self, reply: Reply) -> bool:
        """Whether it is an update of ours; raises what the daemon reports in place of one."""
        if reply.kind is not Kind.SUBSCRIBE or reply.session != self._session.id:
            return False
        if reply.failure is not None:
            raise error_of(reply.failure)
        return "number" in reply.body

    def _subscribe(self, every_ms: int, credit: int) -> None:
        body = {"every_ms": every_ms, "credit": credit}
        self._link.post(Request(Kind.SUBSCRIBE, self._session.id, next(_numbers), body=body), self._session.timeout_s)


def _endpoint(url: str) -> str:
    if not url.startswith(("ipc://", "tcp://", SCHEME)):
        raise HostError(f"cannot look at {url!r}; a URL is ipc://path, tcp://host:port or {SCHEME}... here")
    return url


def _status(link: Link, timeout_s: float) -> dict[str, Any]:
    reply = link.call(Request(Kind.STATUS, 0, next(_numbers)), timeout_s)
    if reply.failure is not None:
        raise error_of(reply.failure)
    return reply.body
