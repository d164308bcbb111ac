"""Command line of the emulator."""

from __future__ import annotations

from typing import Annotated

import typer

from tsu_emu import __version__
from tsu_emu.commands.configurations import configs, warmup
from tsu_emu.commands.doctor import doctor
from tsu_emu.commands.gateway import gateway
from tsu_emu.commands.keys import keys
from tsu_emu.commands.oracle import oracle
from tsu_emu.commands.recording import record, replay
from tsu_emu.commands.serve import serve
from tsu_emu.commands.status import status

app = typer.Typer(
    name="tsu-emu",
    help="A thermodynamic sampling unit in software. `tsu-emu serve digits-typical` is a chip; talk to it with tsu_driver.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (serve, status, record, replay, gateway, oracle, configs, warmup, doctor):
    app.command()(command)
app.add_typer(keys)


def _version(value: bool) -> None:
    if value:
        print(f"tsu-emu {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    pass


if __name__ == "__main__":
    app(prog_name="tsu-emu")
