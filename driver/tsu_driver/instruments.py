"""The instruments of a lab round a chip: ambient temperature, supply, an analog source, time that passes. A program, too."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

import zmq

from tsu_contract.bench import Reading, Request, exchange
from tsu_contract.errors import ProtocolError
from tsu_driver.curve import connect
from tsu_driver.errors import HostError, LinkError, LinkTimeout, TsuError, error_of
from tsu_driver.links import MILLISECONDS_MAX
from tsu_driver.names import seconds


class Instruments:
    """The instruments at a door, `ipc://path` or `tcp://host:port`; a context manager. Not for several threads at once.

    Settings act at the chip's present time and stay until they are set anew. Every verb returns a `Reading` of all of them.
    HostError: a value out of range; nothing has changed then. LinkTimeout: no reply in time; it may still be carried out.

    identity : what the door says of itself: the chip's name, its clock, its nominal supply, limits of all settings
    """

    def __init__(self, url: str, *, timeout_s: float = 30.0) -> None:
        """Connect, and see that instruments answer."""
        self.url, self.timeout_s, self._number = url, seconds(timeout_s, "timeout_s"), 0
        self._context = zmq.Context(1)
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        try:
            self._connect()
            self.identity: dict[str, Any] = self._ask("identify")
            if self.identity.get("door") != "instruments":
                raise LinkError(f"{url} is the door of the {self.identity.get('door')}, not of instruments")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the door; settings stay. May be called again."""
        self._socket.close()
        self._context.term()

    def ambient(self, kelvin: float) -> Reading:
        """Set the ambient temperature, K."""
        return self._set("ambient", k=kelvin)

    def supply(self, volts: float) -> Reading:
        """Set the supply voltage, V."""
        return self._set("supply", v=volts)

    def source(self, offset: float = 0.0, amplitude: float = 0.0, hz: float = 0.0, phase: float = 0.0) -> Reading:
        """Set the source on the converters' external pin: offset + amplitude sin(2 pi (hz t + phase)), t being chip time.

        offset, amplitude : in units of the converters' range, -1 .. 1; hz : up to half the clock; phase : in turns
        """
        return self._set("source", offset=offset, amplitude=amplitude, hz=hz, phase=phase)

    def skip(self, seconds: float) -> Reading:
        """Let chip time pass while nothing happens; HostError if a program is running."""
        return self._set("skip", seconds=seconds)

    def read(self) -> Reading:
        """What is set, and chip time."""
        return self._set("read")

    def _connect(self) -> None:
        try:
            connect(self._socket, self.url)
        except zmq.ZMQError as error:
            raise LinkError(f"cannot connect to {self.url}: {error}") from None

    def _set(self, verb: str, **values: float) -> Reading:
        for name, value in values.items():
            if isinstance(value, bool) or not hasattr(value, "__float__"):
                raise HostError(f"{name} = {value!r}; a number expected")
        body = self._ask(verb, **{name: float(value) for name, value in values.items()})
        try:
            return Reading(**body)
        except TypeError as error:
            raise LinkError(f"{self.url}: malformed reading: {error}") from None

    def _ask(self, verb: str, **body: Any) -> dict[str, Any]:
        if self._socket.closed:
            raise LinkError(f"the link to {self.url} is closed")
        self._number += 1
        try:
            reply = exchange(self._socket, Request(verb, self._number, body), min(self.timeout_s, MILLISECONDS_MAX / 1000))
        except ProtocolError as error:
            said = f"{self.url} answers, but not as a door of instruments does: {error.failure.message}"
            raise LinkError(said, code=error.failure.code) from None
        if reply is None:
            raise LinkTimeout(f"no reply from {self.url} to {verb} within {self.timeout_s:g} s; is there a door of instruments?")
        if reply.failure is not None:
            raise error_of(reply.failure)
        return reply.body


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    common.add_argument("--timeout", type=float, default=argparse.SUPPRESS, metavar="S", help="seconds a reply may take (30)")
    parser = argparse.ArgumentParser(
        prog="tsu-instruments",
        description="Set what surrounds a chip. Every verb prints all settings and the chip's time.",
        epilog="example: tsu-instruments ipc:///run/user/1000/tsu-emu/chip.sock.instruments ambient 310",
        parents=[common],
    )
    parser.add_argument("url", help="where the instruments' door is: ipc://path or tcp://host:port")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        return verbs.add_parser(name, help=text, description=text.capitalize() + ".", parents=[common])

    verb("read", "what is set, and chip time")
    verb("identify", "whose instruments these are, and the limits of what can be set")
    verb("ambient", "set the ambient temperature").add_argument("kelvin", type=float, help="K")
    verb("supply", "set the supply voltage").add_argument("volts", type=float, help="V")
    verb("skip", "let chip time pass while nothing happens").add_argument("seconds", type=float, help="s of chip time")
    source = verb("source", "set the analog source on the converters' external pin: offset + amplitude sin(2 pi (hz t + phase))")
    for name, unit in (("offset", "ranges"), ("amplitude", "ranges"), ("hz", "Hz"), ("phase", "turns")):
        source.add_argument(f"--{name}", type=float, default=0.0, metavar="X", help=f"{unit} (0)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The program `tsu-instruments`; exit code 2 if something is wrong with the request or the link."""
    given = vars(_parser().parse_args(arguments))
    url, verb, as_json, timeout_s = given.pop("url"), given.pop("verb"), given.pop("json", False), given.pop("timeout", 30.0)
    try:
        with Instruments(url, timeout_s=timeout_s) as lab:
            shown = lab.identity if verb == "identify" else asdict(getattr(lab, verb)(**given))
    except TsuError as error:
        print(f"tsu-instruments: {error}", file=sys.stderr)
        return 2
    if as_json:
        print(json.dumps(shown))
    else:
        print("\n".join(f"{name:<12} {value}" for name, value in shown.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
