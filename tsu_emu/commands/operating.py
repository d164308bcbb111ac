"""What `serve` gives those who operate a daemon: its log, metrics, and words with a service manager."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tsu_emu.server.daemon import Daemon
    from tsu_emu.server.notify import Notifier
    from tsu_emu.server.session import Server


class Level(StrEnum):
    """From what level on events are told."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


LogLevel = Annotated[Level, typer.Option("--log-level", help="Tell events of this level and above on standard error.")]
LogJson = Annotated[bool, typer.Option("--log-json", help="Tell them as JSON, an object a line; implies level info.")]
MetricsPort = Annotated[
    int | None,
    typer.Option("--metrics", metavar="PORT", min=0, max=65535, help="Metrics for Prometheus on 127.0.0.1; 0 chooses a port."),
]


def told(level: Level, as_json: bool) -> None:
    """Events are told from now on."""
    import logging

    from tsu_emu.server.events import tell_stderr

    if as_json and level is Level.WARNING:
        level = Level.INFO
    tell_stderr(logging.getLevelNamesMapping()[level.value.upper()], as_json)


@contextmanager
def measured(server: Server, port: int | None) -> Iterator[dict[str, str]]:
    """Metrics are told, if a port is given; gives the page's address by name, for the ready line."""
    if port is None:
        yield {}
        return
    from tsu_emu.server.endpoints import EndpointError
    from tsu_emu.server.metrics import MetricsPage

    try:
        page = MetricsPage(server, port)
    except OSError as error:
        raise EndpointError(f"--metrics {port}: {error}") from None
    try:
        yield {"metrics": page.address}
    finally:
        page.close()


@contextmanager
def managed(server: Server, daemon: Daemon) -> Iterator[Notifier]:
    """Log and service manager hear of the daemon's begin and end, and the latter that it is alive."""
    from tsu_emu.server.notify import Notifier

    notifier = Notifier(lambda: _sentence(server))
    daemon.front.beat, daemon.front.beat_s = notifier.beat, notifier.every_s
    server.events.tell("started", name=server.name, endpoint=daemon.endpoint)
    try:
        yield notifier
    finally:
        notifier.stopping()
        server.events.tell("ended", requests=server.counters.requests, operations=server.counters.operations)


def _sentence(server: Server) -> str:
    """What goes on, for a service manager's overview."""
    work = "a request is under way" if server.under_way else "idle"
    return f"{server.name}: {len(server.sessions)} sessions, {server.counters.operations} operations, {work}"
