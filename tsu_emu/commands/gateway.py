"""`tsu-emu gateway`: the way in from a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from tsu_emu.commands.ending import failed

MEMORY_MB = 512


def gateway(
    to: Annotated[str, typer.Option(help="The daemon's endpoint, ipc://PATH.")],
    listen: Annotated[str, typer.Option(help="Where to listen, tcp://HOST:PORT; PORT * for any.")],
    keys: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keys that are let in, see `tsu-emu keys`; without them, on loopback alone."),
    ] = None,
    memory: Annotated[int, typer.Option(metavar="MB", help="Memory of the worker; one that needs more is replaced.")] = MEMORY_MB,
    instruments: Annotated[
        str | None, typer.Option(help="The daemon's instruments door, for keys with the role bench; on the port after LISTEN's.")
    ] = None,
    oracle: Annotated[
        str | None, typer.Option(help="The daemon's oracle door, for keys with the role bench; on the next port.")
    ] = None,
) -> None:
    """Let a network in to the daemon at TO, by key, until SIGTERM, SIGINT or SIGHUP; the daemon gets whole messages alone.

    Prints JSON lines: {"event": "ready", "endpoint": ...} when it serves, "worker-died" and "worker-started" when it had to start
    anew, "keys" when they have changed, "denied" when connections were refused, "cut" when a client did not read.
    """
    import json

    from tsu_emu.gateway.supervisor import GatewayError, Plan, Supervisor

    def announce(event: str, **details: object) -> None:
        print(json.dumps({"event": event, **details}), flush=True)

    asked = {"front": to, "instruments": instruments, "oracle": oracle}
    try:
        doors = {name: (_port_after(listen, k), at) for k, (name, at) in enumerate(asked.items()) if at is not None}
        supervisor = Supervisor(Plan(doors, keys, memory), announce)
    except GatewayError as error:
        announce("error", message=str(error))
        raise failed(str(error)) from None
    supervisor.run()
    announce("ended")


def _port_after(listen: str, places: int) -> str:
    """The endpoint `places` ports on; any port stays any."""
    from tsu_emu.gateway.supervisor import GatewayError

    if not places or listen.endswith(":*"):
        return listen
    try:
        port = urlsplit(listen).port or 0
    except ValueError:
        port = 0
    if not 0 < port <= 65535 - places:
        raise GatewayError(f"{listen}: there is no port for the doors of the lab bench, which follow it")
    return f"{listen.rpartition(':')[0]}:{port + places}"
