"""A GDB server for the firmware core: one debugger at a time, on loopback, in the daemon's own thread.

The core stops between two instructions, and chip time stands still with it: the thread that would move the chip serves the
debugger alone until the core is continued. When the core runs, the debugger is looked at between compiled calls. A debugger never
moves chip time, so a run in which it stopped, stepped and looked is the run without it.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable
from contextlib import suppress

from tsu_emu.chip import Chip
from tsu_emu.server.commands import Commands, Resume
from tsu_emu.server.monitor import Monitor
from tsu_emu.server.rsp import Interrupt, Packet, Resend, RspError, Stream, packet
from tsu_emu.server.target import Target

LOOK_SECONDS = 0.1
"""While the core is stopped the daemon looks so often whether it is to end."""
SEND_SECONDS = 5.0
"""A debugger that does not take a reply for so long is let go."""
LAST_WORDS = 16
"""Pieces that are still read from a debugger before another is turned away for its sake: the last may be its end."""
TRAP, INTERRUPTED = 5, 2
"""Signals that GDB is told: a step or a breakpoint, and a stop that was asked for."""
WAITS = b"The core goes on when chip time passes: with a host's request, or after Ctrl-C and `monitor advance CYCLES`.\n"
"""What a debugger is told, once, when it lets the core go on and nothing lets time pass."""


class Debugger:
    """The GDB server of a chip's core.

    port : on 127.0.0.1, 0 for any; wait : the core is stopped before its first instruction until a debugger continues it
    between_calls : raises if the daemon is to end; may be set later
    ValueError if the chip has no core, OSError if the port cannot be had.
    """

    def __init__(self, chip: Chip, port: int, wait: bool = False) -> None:
        self._chip, self._target = chip, Target(chip)
        self._monitor = Monitor(self._target)
        self._commands = Commands(self._target, self._monitor, lambda: self._signal)
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._client: socket.socket | None = None
        self._stream, self._last_reply = Stream(), b""
        self._signal, self._owes_stop, self._told = TRAP, False, False
        self._stopped, self._stop_asked = False, wait
        self._step, self._from = False, self._target.position()
        self.between_calls: Callable[[], None] = lambda: None
        chip.probe = self._before_instruction

    @property
    def address(self) -> str:
        """For GDB's `target remote`."""
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    @property
    def sockets(self) -> list[socket.socket]:
        """What brings something to do."""
        return [self._listener] if self._client is None else [self._listener, self._client]

    def serve(self) -> None:
        """Between two requests of hosts: does what the debugger asks; returns when the core is not stopped."""
        self._take(0)
        while self._stop_asked or self._monitor.granted:
            if self._stop_asked:
                self._stop(INTERRUPTED)
            elif self._monitor.granted:
                self._monitor.spend()
        if self._owes_stop and not self._told:
            self._told = True
            self._reply(b"O" + WAITS.hex().encode())

    def look(self) -> None:
        """In the midst of a request: a core that is awake stops before its next instruction, one that sleeps at once."""
        self._take(0)
        if self._stop_asked and self._target.dormant:
            self._stop(INTERRUPTED)

    def close(self) -> None:
        """The debugger is let go, and nobody can attach any more."""
        self._let_go()
        self._chip.probe = None
        self._selector.close()
        self._listener.close()

    def _before_instruction(self) -> bool:
        """The chip's probe."""
        if self._stop_asked:
            self._stop(INTERRUPTED)
        elif self._target.position() != self._from and (self._step or self._target.at_breakpoint()):
            self._stop(TRAP)
        return self._step

    def _stop(self, signal: int) -> None:
        """The chip stands still until the debugger lets the core go on."""
        self._stopped, self._stop_asked, self._step, self._signal = True, False, False, signal
        if self._owes_stop:
            self._owes_stop = False
            self._reply(self._commands.stop_reply())
        self._handle()
        while self._stopped:
            self._take(LOOK_SECONDS)
            self.between_calls()

    def _go_on(self, step: bool) -> None:
        """The core is no longer stopped; it executes the next instruction whatever breakpoint is there."""
        self._target.pass_breakpoint()
        self._stopped, self._step, self._from = False, step, self._target.position()

    def _take(self, seconds: float) -> None:
        """Takes what has come, or comes within a time, from whoever connects and from the debugger."""
        ready = self._selector.select(seconds)
        for key, _ in sorted(ready, key=lambda found: found[0].fileobj is self._listener):  # who has gone makes room
            if key.fileobj is self._listener:
                self._accept()
            else:
                self._receive()

    def _accept(self) -> None:
        """The first becomes the debugger, and the core stops; others are turned away."""
        for _ in range(LAST_WORDS):
            if any(key.fileobj is self._client for key, _ in self._selector.select(0)):
                self._receive()
        with suppress(OSError):
            connection, _ = self._listener.accept()
            if self._client is not None:
                connection.close()
                return
            connection.settimeout(SEND_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(connection, selectors.EVENT_READ)
            self._client, self._stream, self._last_reply = connection, Stream(), b""
            self._commands.greet()
            self._owes_stop, self._stop_asked, self._told = False, not self._stopped, False

    def _receive(self) -> None:
        if self._client is None:
            return
        try:
            data = self._client.recv(1 << 16)
            self._stream.feed(data)
        except (OSError, RspError):
            data = b""
        if data:
            self._handle()
        else:
            self._let_go()

    def _handle(self) -> None:
        """Does what has come, up to what must wait until the core has stopped."""
        events = self._stream.events
        while events and self._client is not None and (self._stopped or not self._stop_asked):
            event = events.popleft()
            if isinstance(event, Packet):
                self._answer(event)
            elif isinstance(event, Interrupt):
                self._stop_asked = not self._stopped
            elif isinstance(event, Resend):
                self._send(self._last_reply)

    def _answer(self, event: Packet) -> None:
        """Acknowledges a packet and does what it says."""
        if self._commands.acknowledges:
            self._send(b"+" if event.sound else b"-")
            if not event.sound:
                return
        if not event.sound or not self._stopped:
            self._reply(b"E01")
            return
        answer = self._commands.answer(event.contents)
        if isinstance(answer, bytes):
            self._reply(answer)
        elif answer is Resume.LET_GO:
            self._let_go()
        elif answer is Resume.DETACH:
            self._target.clear()
            self._reply(b"OK")
            self._let_go()
        else:
            self._owes_stop = True
            self._go_on(answer is Resume.STEP)

    def _reply(self, contents: bytes) -> None:
        self._last_reply = packet(contents)
        self._send(self._last_reply)

    def _send(self, data: bytes) -> None:
        """A debugger that has gone, or does not read, is let go."""
        if self._client is None:
            return
        try:
            self._client.sendall(data)
        except OSError:
            self._let_go()

    def _let_go(self) -> None:
        """Nobody is attached; the core runs, and nothing is left of the debugger."""
        if self._client is not None:
            self._selector.unregister(self._client)
            self._client.close()
            self._client, self._owes_stop, self._stop_asked, self._monitor.granted = None, False, False, 0
            self._target.clear()
            self._go_on(False)
