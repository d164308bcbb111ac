"""A private daemon: the emulator as a program of its own that cannot outlive this process."""

from __future__ import annotations

import atexit
import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from tsu_driver.errors import LinkError, LinkTimeout

START_TIMEOUT_S = 300.0
"""For a sign of life, the last of which is that it is ready: the first start compiles the emulator, function by function."""
SILENT_S = 1.0
"""Progress is shown only of starts that take longer."""
LINE_EVERY_S = 3.0
"""Least time between two lines of it where there is no terminal."""
STOP_TIMEOUT_S = 5.0
SOCKET_PATH_MAX = 103
"""Bytes that every system allows in the path of a local socket."""


class Daemon:
    """A daemon process, started and ready when made.

    command : program and arguments; `--endpoint ENDPOINT --exit-with-stdin` is appended
    endpoint : where it serves, in a directory of its own that only this user may enter
    doors : endpoints of the lab bench's doors, "instruments" and "oracle", as far as they are open
    LinkError if it does not start, with what it said; LinkTimeout if it says nothing for `timeout_s`.
    """

    def __init__(self, command: Sequence[str], timeout_s: float = START_TIMEOUT_S) -> None:
        self._directory = tempfile.mkdtemp(prefix="tsu-")
        path = os.path.join(self._directory, "chip.sock")
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)
        try:
            if len(os.fsencode(path)) > SOCKET_PATH_MAX:
                raise LinkError(f"{path} is too long for a socket; set TMPDIR to a shorter path")
            self._process = self._start([*command, "--endpoint", f"ipc://{path}", "--exit-with-stdin"])
            ready = self._await_ready(self._process, timeout_s)
            self.endpoint = str(ready["endpoint"])
            self.doors = {name: str(ready[name]) for name in ("instruments", "oracle") if name in ready}
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the process: its standard input closes, and if that does not help within 5 s it is terminated."""
        atexit.unregister(self.close)
        process, self._process = self._process, None
        if process is not None:
            _stop(process)
        shutil.rmtree(self._directory, ignore_errors=True)

    @staticmethod
    def _start(command: list[str]) -> subprocess.Popen[bytes]:
        """A process group of its own, so that an interrupt from the keyboard reaches us and not the chip."""
        try:
            return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)
        except OSError as error:
            raise LinkError(f"cannot start {command[0]}: {error}") from None

    @staticmethod
    def _await_ready(process: subprocess.Popen[bytes], timeout_s: float) -> dict[str, Any]:
        """What the daemon says when it is ready; its progress is shown meanwhile."""
        progress = Progress()
        try:
            for event in _events(process, timeout_s):
                kind = event.get("event")
                if kind == "ready":
                    return event
                if kind == "error":
                    raise LinkError(f"the daemon did not start: {event.get('message')}")
                if kind == "progress":
                    progress.show(event)
        except TimeoutError:
            said = f"it said last: {progress.last}"
            raise LinkTimeout(f"the daemon was not ready, and said nothing for {timeout_s:g} s; {said}") from None
        finally:
            progress.finish()
        code = process.wait(STOP_TIMEOUT_S)
        said = f"it said last: {progress.last}" if progress.last != "nothing" else "what it said is on standard error"
        raise LinkError(f"the daemon ended with code {code} before it was ready; {said}")


class Progress:
    """Progress of a start on stderr: one line rewritten on a terminal, otherwise a line every few seconds."""

    def __init__(self) -> None:
        self.last = "nothing"
        self._begun = time.monotonic()
        self._shown = float("-inf")
        self._tty = sys.stderr.isatty()
        self._width = 0

    def show(self, event: dict[str, Any]) -> None:
        """Take note of a progress event, and show it if the start takes its time."""
        before, self.last = self.last, str(event.get("text", ""))
        if "done" in event and "total" in event:
            self.last += f" ({event['done']}/{event['total']})"
        now = time.monotonic()
        if self.last == before or now - self._begun < SILENT_S or (not self._tty and now - self._shown < LINE_EVERY_S):
            return
        self._shown = now
        line = f"tsu: {self.last}"
        if self._tty:
            sys.stderr.write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()

    def finish(self) -> None:
        """Clear the line on a terminal."""
        if self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            sys.stderr.flush()


def _events(process: subprocess.Popen[bytes], timeout_s: float) -> Iterator[dict[str, Any]]:
    """JSON objects from the lines of standard output until it ends; TimeoutError if none comes for so long."""
    assert process.stdout is not None
    buffer = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(timeout_s):
                raise TimeoutError
            data = os.read(process.stdout.fileno(), 65536)
            if not data:
                return
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                event = _parse(line)
                if event is not None:
                    yield event


def _parse(line: bytes) -> dict[str, Any] | None:
    """A line as an event; what is none is passed on to stderr."""
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    if isinstance(event, dict):
        return event
    if line.strip():
        sys.stderr.write(line.decode(errors="replace") + "\n")
    return None


def _stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(OSError):
        process.stdin.close()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    process.stdout.close()
