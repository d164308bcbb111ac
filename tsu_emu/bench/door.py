"""What both doors share: from frames to frames, one verb at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from numpy.typing import NDArray

from tsu_contract.bench import Arguments, Reply, Request, decode_request, encode_reply
from tsu_contract.errors import Code, ProtocolError, fail
from tsu_contract.wire import Frame
from tsu_emu.chip import Chip


class Answer(NamedTuple):
    """What a verb gives: values by key, and arrays by name."""

    body: dict[str, Any]
    arrays: Mapping[str, NDArray[Any]] = {}


class Verb(NamedTuple):
    """A verb, and the keys that its body may have. It refuses bad values before it changes anything.

    changes : whether it can change the chip's state
    """

    act: Callable[[Arguments], Answer]
    keys: Sequence[str] = ()
    changes: bool = False


class Door:
    """One door of a chip's bench.

    accepted : called with the frames of each request whose verb changes something, before anything is done; what it raises leaves
        the request undone
    """

    def __init__(self, chip: Chip, verbs: Mapping[str, Verb]) -> None:
        self._chip, self._verbs = chip, dict(verbs)
        self.accepted: Callable[[Sequence[Frame]], None] = lambda frames: None

    def add(self, verbs: Mapping[str, Verb]) -> None:
        """Verbs that this door has as well."""
        self._verbs.update(verbs)

    def handle(self, frames: Sequence[Frame]) -> list[Frame]:
        """The reply to a request; whatever is wrong with it becomes a reply that says so."""
        request = Request("", 0)
        try:
            request = decode_request(frames)
            verb = self._verbs.get(request.verb)
            if verb is None:
                raise fail(Code.BAD_OPERATION, f"no verb {request.verb!r}; there are {', '.join(self._verbs)}")
            arguments = Arguments(request.body, verb.keys)
            if verb.changes:
                self.accepted(frames)
            answer = verb.act(arguments)
        except ProtocolError as error:
            return encode_reply(Reply(request.verb, request.number, error.failure, self._chip.link_time))
        return encode_reply(Reply(request.verb, request.number, None, self._chip.link_time, answer.body, dict(answer.arrays)))
