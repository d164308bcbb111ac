"""The lease: one session at a time may be the only one that operates the chip."""

from __future__ import annotations

from collections.abc import Callable

from tsu_contract.errors import Code, fail


class Lease:
    """Who holds the chip. Times are those of a clock that only goes forward, in seconds.

    holder : number of the session, 0 if nobody; client : its name; seconds : of silence after which it ends
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.holder, self.client, self.seconds, self._ends = 0, "", 0.0, 0.0

    @property
    def left(self) -> float:
        """Seconds that it lasts if its holder stays silent; not above 0 if it is over."""
        return self._ends - self._clock() if self.holder else 0.0

    @property
    def over(self) -> bool:
        """Whether somebody holds it who has been silent for too long. It ends by `end`, which is recorded, not by itself."""
        return self.holder != 0 and self.left <= 0

    def take(self, session: int, client: str, seconds: float) -> None:
        """A session takes it, or holds it for another time; ProtocolError if it is another's."""
        self.admit(session)
        self.holder, self.client, self.seconds = session, client, seconds
        self.heard(session)

    def heard(self, session: int) -> None:
        """A session has spoken: if it is the holder, its time begins anew."""
        if session == self.holder:
            self._ends = self._clock() + self.seconds

    def admit(self, session: int) -> None:
        """ProtocolError if it is another's."""
        if self.holder not in (0, session):
            who = self.client or "another session"
            raise fail(Code.LEASED, f"{who} holds the chip, for {max(self.left, 0.0):.1f} s more if it stays silent")

    def end(self, session: int) -> None:
        """Nobody holds it any more, if it was that session."""
        if session == self.holder:
            self.holder, self.client, self.seconds = 0, "", 0.0
