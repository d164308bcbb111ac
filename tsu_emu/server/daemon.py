"""The daemon: sockets and the wall clock, nothing else. It hands bytes to `Server` and bytes back."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import secrets
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import zmq

from tsu_emu.server.endpoints import EndpointError
from tsu_emu.server.front import Front
from tsu_emu.server.gdb import Debugger
from tsu_emu.server.listener import Handler, Keeping, Listener
from tsu_emu.server.session import Server

DRAIN_SECONDS = 3.0
"""A daemon that keeps its chip ends a request that is under way if it takes no longer."""
BELL = "inproc://bell"
LOOK_SECONDS = 0.02
"""In the midst of a request the daemon looks at its sockets no more often, though a firmware core at work lets it."""
DESCRIPTORS = 16384
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


class _StopAsked(Exception):
    """Unwinds a run that is under way when the daemon is to stop."""


def endings() -> list[signal.Signals]:
    """Signals that end a daemon in good order; SIGHUP is none if whoever started it has it ignored, as nohup does."""
    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return [signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if hangs_up else [])]


def announce(event: str, **details: Any) -> None:
    """One JSON line on standard output, for whoever started the daemon."""
    with suppress(BrokenPipeError):
        print(json.dumps({"event": event, **details}), flush=True)


class Daemon:
    """Serves one chip on its endpoints until `stop` is called, a signal comes or, if asked, standard input closes.

    server : the chip's sessions, at `endpoint`; doors : endpoint and handler of each further door, by name; all share one thread,
        also with the debugger's server, if there is one
    exit_with_stdin : end when standard input does; EndpointError if it cannot listen
    keeping : what keeps the chip; `handle` is then the handler at `endpoint`, in place of the server's own. A request
        under way may then end before the daemon does
    front : the door of hosts; endpoints : of the other doors, by name
    """

    def __init__(
        self, server: Server, endpoint: str, exit_with_stdin: bool = False,
        doors: Mapping[str, tuple[str, Handler]] | None = None, debugger: Debugger | None = None,
        keeping: Keeping | None = None, handle: Handler | None = None,
    ) -> None:  # fmt: skip
        if exit_with_stdin and sys.stdin is None:
            raise EndpointError("standard input is closed already; do not ask to end with it")
        self._stdin = sys.stdin.fileno() if exit_with_stdin else None
        self._context = zmq.Context()
        self._listeners: list[Listener] = []
        self._stopping, self._patience_s, self._end_at = False, DRAIN_SECONDS if keeping else 0.0, 0.0
        self._look_at = 0.0
        try:
            self.front = Front(self._context, endpoint, server, self._end_if_asked, handle, keeping)
            self._listeners.append(self.front)
            for at, answer in (doors or {}).values():
                self._listeners.append(Listener(self._context, at, answer, self._end_if_asked, keeping))
        except EndpointError:
            self._close_sockets()
            raise
        self.front.socket.bind(BELL)
        self.endpoint, *others = (listener.endpoint for listener in self._listeners)
        self.endpoints = dict(zip(doors or {}, others, strict=True))
        self._wake_read, self._wake_write = os.pipe()
        server.chip.between_calls = self._between_calls
        self._debugger = debugger
        if debugger is not None:
            debugger.between_calls = self._while_stopped

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
                    while not self._stopping:
                        self.front.serve()
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
        while not self._stopping:
            if self._debugger is not None:
                self._debugger.serve()
                poller = self._poller()
            self.front.pulse()
            patience = self.front.patience_s
            active = dict(poller.poll(None if patience is None else int(1000 * patience)))
            for listener in self._listeners:
                if listener.socket in active or (listener is self.front and patience == 0):
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
            asked = self._wake_read in active or (self._stdin in active and not os.read(self._stdin or 0, 4096))
            self._end_at = time.monotonic() + self._patience_s
            self._stopping = asked
        with self._context.socket(zmq.DEALER) as bell:
            bell.connect(BELL)
            bell.send(b"")

    def _end_if_asked(self) -> None:
        """Raises _StopAsked if the daemon is to stop."""
        if self._stopping:
            raise _StopAsked

    def _while_stopped(self) -> None:
        """While a debugger has stopped the core."""
        self._end_if_asked()
        self.front.look()

    def _between_calls(self) -> None:
        """In the midst of a request: raises _StopAsked if the daemon is to stop and the request had its time, and looks what
        clients and the debugger want."""
        if self._stopping and time.monotonic() >= self._end_at:
            raise _StopAsked
        if time.monotonic() >= self._look_at:
            self.front.look()
            self._look_at = time.monotonic() + LOOK_SECONDS
        if self._debugger is not None:
            self._debugger.look()

    @contextmanager
    def _stop_signals(self) -> Iterator[None]:
        """Those of `endings` stop the daemon if it runs in the main thread.

        The system may hand a signal to any thread, so the main thread's poll is woken through the pipe, not by the signal.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        os.set_blocking(self._wake_write, False)
        wakeup = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        kept = {s: signal.signal(s, lambda *_: None) for s in endings()}
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


def allow_descriptors() -> None:
    """Lets this process have as many as the system allows it, up to DESCRIPTORS: a client takes one or two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def boot_word() -> str:
    """A word that tells one start of a daemon from the next."""
    return secrets.token_hex(8)
