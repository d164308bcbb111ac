"""A client of the oracle, for tests and tools. An app that learns by what it says has learned nothing about a chip."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import zmq
from numpy.typing import NDArray

from tsu_contract.bench import Reply, Request, exchange, fault_of
from tsu_contract.errors import ProtocolError


class OracleError(Exception):
    """The oracle refused, or does not answer; `failure` says why it refused."""

    def __init__(self, error: ProtocolError | str) -> None:
        super().__init__(str(error))
        self.failure = error.failure if isinstance(error, ProtocolError) else None


class Oracle:
    """The oracle of one emulated chip, at `ipc://path` or `tcp://host:port`, or wherever `connect` leads; a context manager."""

    def __init__(
        self, url: str, timeout_s: float = 30.0, connect: Callable[[zmq.Socket[bytes], str], object] = zmq.Socket.connect
    ) -> None:
        self.url, self._timeout_s, self._number = url, timeout_s, 0
        self._context = zmq.Context(1)
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        try:
            connect(self._socket, url)
        except ConnectionError as error:
            self.close()
            raise OracleError(str(error)) from None
        except zmq.ZMQError as error:
            self.close()
            raise OracleError(f"cannot connect to {url}: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket. May be called again."""
        self._socket.close()
        self._context.term()

    def ask(self, verb: str, /, **body: Any) -> Reply:
        """The reply to any verb; OracleError if it is a refusal or none comes."""
        self._number += 1
        try:
            reply = exchange(self._socket, Request(verb, self._number, body), self._timeout_s)
        except ProtocolError as error:
            raise OracleError(f"{self.url} answers, but not as an oracle's door does: {error}") from None
        if reply is None:
            raise OracleError(f"no reply from {self.url} to {verb} within {self._timeout_s:g} s; is an oracle's door open there?")
        if reply.failure is not None:
            raise OracleError(ProtocolError(reply.failure))
        return reply

    def identify(self) -> dict[str, Any]:
        """The chip's name, kinds of faults with their keys, names of truths."""
        return self.ask("identify").body

    def inject(self, kind: str, /, **values: int | str) -> int:
        """A fault from now on, until it is cleared or used up; returns its number."""
        return int(self.ask("inject", **{**values, "kind": kind}).body["fault"])

    def faults(self) -> list[dict[str, Any]]:
        """Faults that there are: fault (its number), kind, and what that kind is told by."""
        return [fault_of(row) for row in self.ask("list").arrays["faults"]]

    def clear(self, fault: int | None = None) -> None:
        """End one fault, by its number, or all of them."""
        self.ask("clear", **({} if fault is None else {"fault": fault}))

    def upset(self, address: int, bits: int) -> int:
        """Turn bits of a register over, now; returns the word that it then holds."""
        return int(self.ask("upset", address=address, bits=bits).body["value"])

    def truth(self, name: str, element: int | None = None) -> NDArray[Any]:
        """What is so on the chip: see docs/bench.md for the names."""
        return self.ask("truth", name=name, **({} if element is None else {"element": element})).arrays[name]

    def digest(self) -> str:
        """SHA-256 of the chip's whole state, in hexadecimal."""
        return str(self.ask("digest").body["digest"])
