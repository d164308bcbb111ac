"""A real daemon in a process of its own, and a plain ZeroMQ client: what somebody without tsu_driver would write."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import zmq

from server.harness import Row, records_of
from tsu_contract.registers import MAP_HASH
from tsu_contract.wire import Frame, Kind, Reply, Request, decode_reply, encode_request

START_SECONDS = 180
"""A daemon that finds nothing compiled takes half a minute, more on a busy machine."""
REPLY_SECONDS = 20
END_SECONDS = 20

SMALL = """
name = "small"
[fabric]
planes = 8
topology = { kind = "dense", cells = 12 }
[sequencer]
program_words = 16
"""
SPREAD = SMALL + '[cell]\nkind = "pbit"\noffset_sigma_kt = 2.0\n'
"""A die whose cells lean to one side or the other."""


def environment() -> dict[str, str]:
    """Ours, with the modules that these tests see."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(p) for p in sys.path if p)}


@contextmanager
def short_directory() -> Iterator[Path]:
    """A directory whose sockets stay below the 107 bytes of an ipc path, which pytest's own may not."""
    path = Path(tempfile.mkdtemp(prefix="tsu-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tsu_emu", *arguments]


def finished(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A run of the command line that ends by itself."""
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        env=environment(),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
    )


class Process:
    """A daemon from its ready line to its end. Ended by its own handle, whatever the test does."""

    def __init__(self, config: Path, endpoint: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            command("serve", str(config), "--endpoint", endpoint, "--threads", "1", *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        self.lines: list[dict[str, Any]] = []
        late = threading.Timer(START_SECONDS, self._process.kill)
        late.start()
        try:
            for line in self._pipe(self._process.stdout):
                self.lines.append(json.loads(line))
                if self.lines[-1]["event"] == "ready":
                    break
            else:
                code = self._process.wait()
                raise AssertionError(f"no ready line, exit code {code}: {self._pipe(self._process.stderr).read()}")
        except BaseException:
            self.close()
            raise
        finally:
            late.cancel()
            late.join()

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe

    @property
    def ready(self) -> dict[str, Any]:
        return self.lines[-1]

    @property
    def endpoint(self) -> str:
        return str(self.ready["endpoint"])

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def close_stdin(self) -> None:
        self._pipe(self._process.stdin).close()

    def end(self) -> int:
        """Exit code, once it ends by itself."""
        return self._process.wait(END_SECONDS)

    def close(self) -> None:
        if self.running:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            self._pipe(pipe).close()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Dealer:
    """A plain DEALER; `session` and `seq` are kept by hand."""

    def __init__(self, endpoint: str) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVTIMEO, 1000 * REPLY_SECONDS)
        self._socket.connect(endpoint)
        self.session = 0
        self.seq = 0

    def send(self, frames: Sequence[Frame]) -> None:
        self._socket.send_multipart(frames)

    def receive(self) -> list[bytes]:
        return self._socket.recv_multipart()

    def nothing_comes(self, milliseconds: int) -> bool:
        return not self._socket.poll(milliseconds)

    def exchange(self, request: Request) -> Reply:
        self.send(encode_request(request))
        return decode_reply(self.receive())

    def hello(self) -> Reply:
        reply = self.exchange(Request(Kind.HELLO, 0, 0, body={"client": "plain", "map_hash": MAP_HASH}))
        assert reply.failure is None
        self.session, self.seq = reply.session, 0
        return reply

    def request(self, *rows: Row, payloads: Sequence[bytes] = ()) -> Request:
        self.seq += 1
        return Request(Kind.OPERATE, self.session, self.seq, records_of(rows), tuple(payloads))

    def done(self, *rows: Row, payloads: Sequence[bytes] = ()) -> Reply:
        reply = self.exchange(self.request(*rows, payloads=payloads))
        assert reply.failure is None, reply.failure
        return reply

    def until_busy(self) -> None:
        """Returns when the request that was sent last is under way: the daemon's status is told in its midst."""
        while not self.exchange(Request(Kind.STATUS, 0, 0)).body["busy"]:
            pass

    def bye(self) -> Reply:
        return self.exchange(Request(Kind.BYE, self.session, self.seq + 1))

    def close(self) -> None:
        self._socket.close()
        self._context.term()

    def __enter__(self) -> Dealer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
