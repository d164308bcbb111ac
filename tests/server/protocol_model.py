"""The protocol's rules for sessions, numbers, repeats and leases, as docs/protocol.md has them, in a few lines."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from tsu_contract.errors import Code

SILENT_S = 60.0


@dataclass
class Place:
    """A session: its last number, whether it may only look, replies that are kept by number, when it was heard."""

    last: int = 0
    observer: bool = False
    replies: OrderedDict[int, list[bytes]] = field(default_factory=OrderedDict)
    heard: float = 0.0


@dataclass
class Model:
    """All sessions, the most silent first; who holds the lease and until when; what SYS.SCRATCH holds.

    places, replies : sessions that may be open, and replies that are kept for each
    """

    places: int
    replies: int
    now: float
    open: OrderedDict[int, Place] = field(default_factory=OrderedDict)
    cut: set[int] = field(default_factory=set)
    opened: int = 0
    holder: int = 0
    seconds: float = 0.0
    ends: float = 0.0
    scratch: int = 0

    def hello(self, observer: bool) -> Code:
        """Another session, in the place of the most silent one if need be."""
        if len(self.open) >= self.places:
            self._end_lease_if_over()
            silent = next((n for n in self.open if n != self.holder), None)
            if silent is None or self.open[silent].heard + SILENT_S > self.now:
                return Code.BUSY
            del self.open[silent]
            self.cut.add(silent)
        self.opened += 1
        self.open[self.opened] = Place(observer=observer, heard=self.now)
        return Code.OK

    def known(self, number: int) -> Code:
        """Whether a session is open; it has been heard of then."""
        if number not in self.open:
            return Code.SESSION_CUT if number in self.cut else Code.UNKNOWN_SESSION
        self.open[number].heard = self.now
        self.open.move_to_end(number)
        return Code.OK

    def order(self, number: int, seq: int) -> Code:
        """Whether it is the next number of an open session."""
        last = self.open[number].last
        if 0 < seq <= last:
            return Code.SEQUENCE_EVICTED
        return Code.OK if seq == last + 1 else Code.BAD_SEQUENCE

    def admitted(self, number: int, seq: int) -> Code:
        """Whether an OPERATE or LEASE that is no repeat is carried out; its number is used then."""
        place = self.open[number]
        if code := self.order(number, seq):
            return code
        if place.observer:
            return Code.FORBIDDEN
        self._end_lease_if_over()
        if self.holder not in (0, number):
            return Code.LEASED
        self.renew(number)
        place.last = seq
        return Code.OK

    def lease(self, number: int, seconds: float) -> None:
        """Takes it, or gives it back with 0."""
        if seconds:
            self.holder, self.seconds = number, seconds
            self.renew(number)
        elif self.holder == number:
            self.holder = 0

    def renew(self, number: int) -> None:
        """The holder has spoken."""
        if self.holder == number:
            self.ends = self.now + self.seconds

    def keep(self, number: int, seq: int, frames: list[bytes]) -> None:
        """A reply that a repeat gets again."""
        replies = self.open[number].replies
        replies[seq] = frames
        if len(replies) > self.replies:
            replies.popitem(last=False)

    def bye(self, number: int, seq: int) -> Code:
        """The session's end."""
        if seq in self.open[number].replies:
            return Code.BAD_SEQUENCE
        if code := self.order(number, seq):
            return code
        del self.open[number]
        if self.holder == number:
            self.holder = 0
        return Code.OK

    def _end_lease_if_over(self) -> None:
        if self.holder and self.ends <= self.now:
            self.holder = 0
