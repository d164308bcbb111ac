"""The daemon: sockets and the wall clock, nothing else. It hands bytes to `Server` and bytes back."""

from __future__ import annotations

import ctypes
import json
import os
import re
import secrets
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import zmq

from tsu_contract.wire import PAYLOAD_BYTES_MAX, Frame
from tsu_emu.server.gdb import Debugger
from tsu_emu.server.session import Server

Handler = Callable[[list[Frame]], list[Frame]]
"""From the frames of a request to those of its reply."""
LOOPBACK = re.compile(r"tcp://(?:127(?:\.\d{1,3}){3}|localhost|\[::1\]):(\d{1,5}|\*)")
QUEUED_REPLIES = 1000
"""Replies that may wait for a client that does not read; further ones are dropped, and it may ask for them again."""
MESSAGES_A_TURN = 16
"""Requests answered at one door before the daemon looks at the others."""
SOCKET_BYTES = 1 << 20
"""Asked of the system for each direction of a connection: bulk data then wake the other side less often."""
BELL = "inproc://bell"
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


class EndpointError(ValueError):
    """An endpoint that the daemon will not or cannot listen on."""


class _StopAsked(Exception):
    """Unwinds a run that is under way when the daemon is to stop."""


def default_endpoint(name: str) -> str:
    """ipc endpoint of a chip in the user's run-time directory."""
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or Path.home() / ".cache")
    return f"ipc://{base / 'tsu-emu' / (name + '.sock')}"


def prepare(endpoint: str) -> None:
    """Checks an endpoint and makes an ipc socket's directory, 0700, if there is none; EndpointError says what is wrong."""
    if endpoint.startswith("tcp://"):
        port = LOOPBACK.fullmatch(endpoint)
        if port is None:
            raise EndpointError(f"{endpoint}: without encryption the daemon listens on loopback alone, e.g. tcp://127.0.0.1:5555")
        if port[1] != "*" and int(port[1]) > 65535:
            raise EndpointError(f"{endpoint}: a port is 0 to 65535, or * for any")
        return
    name = endpoint.removeprefix("ipc://")
    if name == endpoint or not name or name[0] in "@*":
        raise EndpointError(f"{endpoint}: ipc://PATH or tcp://127.0.0.1:PORT expected")
    if len(os.fsencode(name)) > zmq.IPC_PATH_MAX_LEN:
        raise EndpointError(f"{endpoint}: the path is longer than {zmq.IPC_PATH_MAX_LEN} bytes")
    try:
        Path(name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EndpointError(f"{endpoint}: {error}") from None
    if _answered(name):
        raise EndpointError(f"{endpoint}: another daemon listens there")


def _answered(path: str) -> bool:
    """Whether somebody accepts connections on a local socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
        return True


def announce(event: str, **details: Any) -> None:
    """One JSON line on standard output, for whoever started the daemon."""
    with suppress(BrokenPipeError):
        print(json.dumps({"event": event, **details}), flush=True)


class _Listener:
    """A ROUTER on one endpoint, and who answers there; EndpointError if it cannot listen.

    woken : called before a request is answered; what it raises ends the daemon
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, handle: Handler, woken: Callable[[], None]
    ) -> None:
        self._handle, self._woken = handle, woken
        self.socket = context.socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 1000)
        self.socket.setsockopt(zmq.MAXMSGSIZE, PAYLOAD_BYTES_MAX)
        self.socket.setsockopt(zmq.ROUTER_HANDOVER, 0)
        self.socket.setsockopt(zmq.SNDHWM, QUEUED_REPLIES)
        self.socket.setsockopt(zmq.SNDBUF, SOCKET_BYTES)
        self.socket.setsockopt(zmq.RCVBUF, SOCKET_BYTES)
        self._bind(endpoint)
        self.endpoint = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self._ipc = Path(endpoint.removeprefix("ipc://")) if endpoint.startswith("ipc://") else None

    def _bind(self, endpoint: str) -> None:
        before = os.umask(0o077)
        try:
            prepare(endpoint)
            os.umask(0o177)
            self.socket.bind(endpoint)
        except (zmq.ZMQError, EndpointError) as error:
            self.socket.close(0)
            raise EndpointError(f"{endpoint}: {error}" if isinstance(error, zmq.ZMQError) else str(error)) from None
        finally:
            os.umask(before)

    def answer(self, flags: int = 0) -> None:
        """Awaits a request and answers it; zmq.Again if `flags` say not to wait and there is none."""
        client, frames = self._receive(flags)
        self._woken()
        reply = self._handle(frames)
        self.socket.send_multipart([client, *reply], copy=len(reply) <= 2)

    def answer_some(self) -> None:
        """Answers what has arrived, up to MESSAGES_A_TURN."""
        with suppress(zmq.Again):
            for _ in range(MESSAGES_A_TURN):
                self.answer(zmq.NOBLOCK)

    def _receive(self, flags: int) -> tuple[bytes, list[Frame]]:
        """Who asks, and the frames; payloads, the third and later ones, are not copied."""
        client: bytes = self.socket.recv(flags)
        frames: list[Frame] = []
        while self.socket.getsockopt(zmq.RCVMORE):
            frames.append(self.socket.recv() if len(frames) < 2 else self.socket.recv(copy=False).buffer.toreadonly())
        return client, frames

    def close(self) -> None:
        self.socket.close()
        if self._ipc:
            self._ipc.unlink(missing_ok=True)


class Daemon:
    """Serves one chip on its endpoints until `stop` is called, a signal comes or, if asked, standard input closes.

    server : the chip's sessions, at `endpoint`; doors : endpoint and handler of each further door, by name; all share one thread,
        also with the debugger's server, if there is one
    exit_with_stdin : end when standard input does; EndpointError if it cannot listen
    endpoints : of the doors, by name
    """

    def __init__(
        self, server: Server, endpoint: str, exit_with_stdin: bool = False,
        doors: Mapping[str, tuple[str, Handler]] | None = None, debugger: Debugger | None = None,
    ) -> None:  # fmt: skip
        if exit_with_stdin and sys.stdin is None:
            raise EndpointError("standard input is closed already; do not ask to end with it")
        self._stdin = sys.stdin.fileno() if exit_with_stdin else None
        self._context = zmq.Context()
        self._listeners: list[_Listener] = []
        self._stopping = False
        try:
            for at, handle in ((endpoint, server.handle), *(doors or {}).values()):
                self._listeners.append(_Listener(self._context, at, handle, self._end_if_asked))
        except EndpointError:
            self._close_sockets()
            raise
        self._listeners[0].socket.bind(BELL)
        self.endpoint, *others = (listener.endpoint for listener in self._listeners)
        self.endpoints = dict(zip(doors or {}, others, strict=True))
        self._wake_read, self._wake_write = os.pipe()
        server.chip.between_calls = self._between_calls
        self._debugger = debugger
        if debugger is not None:
            debugger.between_calls = self._end_if_asked

    def stop(self) -> None:
        """Ends `run` from another thread or a signal handler, in the midst of a long run too."""
        os.write(self._wake_write, b"x")

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Answers requests in the order in which they come; calls `ready` when signals are being heard."""
        watch = threading.Thread(target=self._watch, daemon=True)
        watch.start()
        try:
            with self._stop_signals():
                ready()
                if len(self._listeners) == 1 and self._debugger is None:
                    while True:
                        self._listeners[0].answer()
                self._answer_all()
        except _StopAsked:
            pass
        finally:
            self.stop()
            watch.join()
            self._close()

    def _answer_all(self) -> None:
        """Answers at every door in turn. Polling costs a round trip 10 us more than waiting at one door does."""
        poller = self._poller()
        while True:
            if self._debugger is not None:
                self._debugger.serve()
                poller = self._poller()
            active = dict(poller.poll())
            for listener in self._listeners:
                if listener.socket in active:
                    listener.answer_some()

    def _poller(self) -> zmq.Poller:
        """Of every door, and of the debugger's sockets, which come and go."""
        poller = zmq.Poller()
        for socket_ in (*(listener.socket for listener in self._listeners), *(self._debugger.sockets if self._debugger else ())):
            poller.register(socket_, zmq.POLLIN)
        return poller

    def _watch(self) -> None:
        """Waits for the word to stop, or the end of standard input; what comes there is thrown away.

        Then rings: a message wakes the thread that waits for requests.
        """
        wakers = [self._wake_read] if self._stdin is None else [self._wake_read, self._stdin]
        while not self._stopping:
            active, _, _ = select.select(wakers, [], [])
            self._stopping = self._wake_read in active or (self._stdin in active and not os.read(self._stdin or 0, 4096))
        with self._context.socket(zmq.DEALER) as bell:
            bell.connect(BELL)
            bell.send(b"")

    def _end_if_asked(self) -> None:
        """Raises _StopAsked if the daemon is to stop."""
        if self._stopping:
            raise _StopAsked

    def _between_calls(self) -> None:
        """In the midst of a request: raises _StopAsked if the daemon is to stop, and looks what the debugger wants."""
        self._end_if_asked()
        if self._debugger is not None:
            self._debugger.look()

    @contextmanager
    def _stop_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT stop the daemon if it runs in the main thread.

        The system may hand a signal to any thread, so the main thread's poll is woken through the pipe, not by the signal.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        os.set_blocking(self._wake_write, False)
        wakeup = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        kept = {s: signal.signal(s, lambda *_: None) for s in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in kept.items():
                signal.signal(number, handler)

    def _close_sockets(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._context.term()

    def _close(self) -> None:
        self._close_sockets()
        if self._debugger is not None:
            self._debugger.close()
        os.close(self._wake_read)
        os.close(self._wake_write)


def keep_freed_memory() -> None:
    """Lets the C library, if it is GNU's, keep large buffers that were freed: fresh pages for each cost more than copying."""
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, 32 << 20)
        mallopt(M_TRIM_THRESHOLD, 1 << 30)


def boot_word() -> str:
    """A word that tells one start of a daemon from the next."""
    return secrets.token_hex(8)
