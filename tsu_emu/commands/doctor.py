"""`tsu-emu doctor`: is this machine fit for a daemon, and what is to be done."""

from __future__ import annotations

from typing import Annotated

import typer


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Look at this machine: interpreter, processor, compiled code, directories, sockets, memory, clock, daemons.

    Each is ok, warn or fail, with what to do about it. Exit code 1 if something fails.
    """
    import json
    from dataclasses import asdict

    from tsu_emu.commands.checks import Verdict, checked

    found = list(checked())
    if as_json:
        print(json.dumps([asdict(check) for check in found], indent=1))
    else:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        styles = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}
        table = Table(box=box.SIMPLE, show_header=False)
        for check in found:
            what = Text(check.found) if not check.advice else Text(f"{check.found}\n-> {check.advice}")
            table.add_row(Text(check.verdict.value, styles[check.verdict]), check.name, what)
        Console().print(table)
    if any(check.verdict is Verdict.FAIL for check in found):
        raise typer.Exit(1)
