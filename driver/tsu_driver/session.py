"""A session with a daemon: who we are, which request comes next, what came back in band."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from numpy.typing import NDArray

from tsu_contract.errors import Code, Layer
from tsu_contract.extension import BASE, RegisterMap
from tsu_contract.wire import FRAMES_MAX, Frame, Interrupt, Kind, Reply, Request
from tsu_driver._version import __version__
from tsu_driver.errors import LinkError, TsuError, error_of
from tsu_driver.links import Link

INTERRUPTS_KEPT = 65536
REFUSED = (Layer.TRANSPORT, Layer.SESSION)
"""Layers whose failures leave a request undone and its number unused; but for SEQUENCE_EVICTED, which says that it was done."""


@dataclass
class Stats:
    """What has gone over the link: requests of kind OPERATE, and the operations in them."""

    messages: int = 0
    operations: int = 0


@dataclass(frozen=True)
class Limits:
    """What the daemon takes in one message."""

    operations: int
    payload_bytes: int
    frames: int = FRAMES_MAX

    @property
    def blocks(self) -> int:
        """Window transfers of one direction in one message: its frames less header and records."""
        return self.frames - 2


@dataclass
class Exchange:
    """A request and, once it has come, its reply."""

    request: Request
    reply: Reply | None = None


class InterruptLog:
    """Interrupt events that came with replies, oldest first: iterable, indexable, emptied by `drain`.

    lost : events that neither the daemon nor this log (65,536 entries) could keep
    """

    def __init__(self) -> None:
        self._events: deque[Interrupt] = deque()
        self.lost = 0

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[Interrupt]:
        return iter(self._events)

    def __getitem__(self, position: int) -> Interrupt:
        return self._events[position]

    def __repr__(self) -> str:
        return f"InterruptLog({list(self._events)!r}, lost={self.lost})"

    def drain(self) -> list[Interrupt]:
        """All events so far; the log is empty afterwards."""
        events = list(self._events)
        self._events.clear()
        return events

    def add(self, reply: Reply) -> None:
        """Take over what a reply brought."""
        self._events.extend(reply.interrupts)
        self.lost += reply.interrupts_lost
        while len(self._events) > INTERRUPTS_KEPT:
            self._events.popleft()
            self.lost += 1


class Session:
    """One session: says HELLO when made, numbers requests from 1, says BYE when closed.

    timeout_s : how long a reply may take, in seconds; may be changed
    map : the registers that the chip is to have
    time : chip time in cycles as the last reply gave it
    name, boot, epoch : what HELLO says of the chip: its name, this start of the daemon, how often it was powered
    observes : its requests look at the chip and do nothing else
    """

    def __init__(self, link: Link, timeout_s: float, observes: bool = False, registers: RegisterMap = BASE) -> None:
        self.timeout_s, self.observes, self.map = timeout_s, observes, registers
        self.time = 0
        self.stats = Stats()
        self.interrupts = InterruptLog()
        self._link = link
        self._pending: Exchange | None = None
        self._closed = False
        self._seq = 1
        try:
            self._hello()
        except BaseException:
            link.close()
            raise

    def start(self, records: NDArray[Any], payloads: tuple[Frame, ...]) -> Exchange:
        """The next OPERATE, or PEEK of one who observes, to be finished at once."""
        kind = Kind.PEEK if self.observes else Kind.OPERATE
        exchange = self._begin(Request(kind, self.id, 0, records, payloads))
        self.stats.messages += 1
        self.stats.operations += len(records)
        return exchange

    def lease(self, seconds: float) -> None:
        """Be the only one that operates the chip, until this session is silent for so many seconds; 0 gives it back."""
        reply = self.finish(self._begin(Request(Kind.LEASE, self.id, 0, body={"seconds": seconds})))
        if reply.failure is not None:
            raise error_of(reply.failure)

    def _begin(self, request: Request) -> Exchange:
        """The next request. One that is still without a reply is finished first, so that there is no gap in the numbers."""
        self._check_open()
        if self._pending is not None:
            self.finish(self._pending)
        request.seq = self._seq
        self._pending = Exchange(request)
        self._seq += 1
        return self._pending

    def finish(self, exchange: Exchange) -> Reply:
        """Send the request and await its reply, which may report a failure.

        After a LinkTimeout this may be called again: the daemon does not carry out a request twice. A request that the
        daemon could not read, or refused to take, has not used up its number.
        """
        if exchange.reply is None:
            self._check_open()
            exchange.reply = self._link.call(exchange.request, self.timeout_s)
            self._pending = None
            failure = exchange.reply.failure
            if failure is not None and failure.layer in REFUSED and failure.code is not Code.SEQUENCE_EVICTED:
                self._seq = exchange.request.seq
            self._note(exchange.reply)
        return exchange.reply

    def close(self) -> None:
        """Say BYE and close the link; a daemon that no longer answers is not waited for long."""
        if self._closed:
            return
        self._closed = True
        try:
            last = 1 if self.observes else self._seq  # looks are not counted
            self._link.call(Request(Kind.BYE, self.id, last), min(self.timeout_s, 2.0))
        except (TsuError, OSError):
            pass
        finally:
            self._link.close()

    def _hello(self) -> None:
        hello = {"client": f"tsu-driver {__version__}", "map_hash": self.map.hash}
        hello |= {"role": "observer"} if self.observes else {}
        reply = self._link.call(Request(Kind.HELLO, 0, 0, body=hello), self.timeout_s)
        if reply.failure is not None:
            raise error_of(reply.failure)
        body = reply.body
        if body.get("map_hash") != self.map.hash:
            what = f"the daemon's is {body.get('map_hash')}, this driver's is {self.map.hash}"
            raise LinkError(f"register maps differ: {what}; install versions that belong together")
        try:
            self.id = int(body["session"])
            self.name = str(body["name"])
            limits = {"frames": FRAMES_MAX} | body["limits"]
            self.limits = Limits(**{f.name: int(limits[f.name]) for f in fields(Limits)})
        except (KeyError, TypeError, ValueError) as error:
            raise LinkError(f"the daemon's HELLO lacks {error} or has it in another form: {body}") from None
        self._note(reply)

    def _check_open(self) -> None:
        if self._closed:
            raise LinkError("the chip is closed")

    def _note(self, reply: Reply) -> None:
        self.time = max(self.time, reply.t_end)
        self.interrupts.add(reply)
