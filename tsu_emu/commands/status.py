"""`tsu-emu status`: what a daemon is at."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tsu_emu.commands.ending import failed

if TYPE_CHECKING:
    from rich.table import Table

WATCH_SECONDS = 1.0


def status(
    url: Annotated[
        str, typer.Argument(metavar="URL|NAME", help="ipc://PATH, tcp://127.0.0.1:PORT, tcp+curve://... or a chip's name.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one line for each look.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look every second, until interrupted.")] = False,
    timeout: Annotated[float, typer.Option(min=0.0, help="Seconds that a reply may take.")] = 5.0,
) -> None:
    """Tell what a daemon and its chip are at: also in the midst of a long run, and without a session.

    A NAME stands for the socket that `tsu-emu serve NAME` listens on unless told otherwise; a gateway is asked as
    tcp+curve://HOST:PORT?key=FILE.secret&server=gateway.public.
    """
    import json

    from rich.console import Console
    from rich.live import Live

    from tsu_emu.commands.dialling import dial
    from tsu_emu.server.asking import asked_for_status
    from tsu_emu.server.endpoints import default_endpoint

    at = url if "://" in url else default_endpoint(url)

    def look() -> dict[str, Any]:
        try:
            return asked_for_status(at, timeout, dial)
        except OSError as error:
            raise failed(str(error)) from None

    try:
        if as_json:
            print(json.dumps(look()), flush=True)
            while watch:
                time.sleep(WATCH_SECONDS)
                print(json.dumps(look()), flush=True)
        elif not watch:
            Console().print(_table(look()))
        else:
            with Live(_table(look()), refresh_per_second=4) as shown:
                while True:
                    time.sleep(WATCH_SECONDS)
                    shown.update(_table(look()))
    except KeyboardInterrupt:
        pass


def _table(s: dict[str, Any]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"{s['name']} ({s['kind']})", box=box.SIMPLE, show_header=False, title_justify="left")
    busy, lease, sessions, counters, rates, queues = (s[k] for k in ("busy", "lease", "sessions", "counters", "rates", "queues"))
    rows = {
        "daemon": f"{s['version']}, up {_duration(s['uptime_s'])}, {s['memory_bytes'] / 2**20:.0f} MiB, keeps {s['keeps']}",
        "chip time": f"cycle {s['cycles']:,} ({_duration(s['chip_s'])})",
        "under way": f"for {_duration(busy['seconds'])}, at cycle {busy['cycles']:,}" if busy else "nothing",
        "sessions": f"{sessions['open']} of {s['limits']['sessions']}, {sessions['observers']} observe, "
        f"{sessions['subscribers']} subscribed",
        "lease": f"{lease['client']}, {lease['seconds']:.0f} s left" if lease else "nobody's",
        "rates": f"{rates['requests']:,.1f} requests/s, {rates['operations']:,.1f} operations/s",
        "so far": ", ".join(f"{count:,} {name}" for name, count in counters.items() if count) or "nothing",
        "queues": ", ".join(f"{name} {length:,}" for name, length in queues.items()),
        "last error": s["last_error"] or "none",
    }
    for name, text in rows.items():
        table.add_row(name, Text(text))
    for text in s["warnings"]:
        table.add_row("[yellow]warning[/yellow]", Text(text))
    return table


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 3600:.1f} h" if seconds >= 7200 else f"{seconds / 60:.1f} min"
