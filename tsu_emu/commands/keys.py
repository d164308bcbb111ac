"""`tsu-emu keys`: who may come in through a gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tsu_emu.commands.ending import failed, why

Directory = Annotated[Path, typer.Option("--dir", metavar="DIR", help="Directory of the gateway's keys; only you may enter it.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is: letters, digits, - and _.")]

keys = typer.Typer(name="keys", help="Keys that a gateway lets in: make, list, revoke.", no_args_is_help=True)


@keys.command()
def make(
    name: Name,
    directory: Directory,
    role: Annotated[str, typer.Option(help="observer (looks), operator (works), bench (has the lab bench too).")] = "operator",
) -> None:
    """Make a key: DIR/NAME.secret for its owner, DIR/NAME.public for the gateway. The first also makes the gateway's own."""
    from tsu_emu.gateway import keys as files

    if role not in list(files.Role):
        raise failed(f"no role {role!r}; there are {', '.join(files.Role)}")
    try:
        secret = files.make(directory, name, files.Role(role))
    except (files.KeysError, OSError) as error:
        raise failed(why(error)) from None
    print(f"{secret}: give it to {name}, with {directory / files.GATEWAY}.public, and delete it here")


@keys.command("list")
def list_keys(directory: Directory, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the keys that are let in, and files that are wrong."""
    import json

    from tsu_emu.gateway import keys as files

    try:
        found, wrong = files.read(directory)
    except files.KeysError as error:
        raise failed(str(error)) from None
    rows = [{"name": key.name, "role": key.role.value, "public": key.public.decode()} for key in found]
    if as_json:
        print(json.dumps({"keys": rows, "wrong": wrong}))
    else:
        print("\n".join([f"{row['name']:<24} {row['role']:<10} {row['public']}" for row in rows] + wrong) or "no keys")
    if wrong:
        raise typer.Exit(1)


@keys.command()
def revoke(name: Name, directory: Directory) -> None:
    """Take a key out; a gateway that runs refuses it from the next second on."""
    from tsu_emu.gateway import keys as files

    try:
        files.revoke(directory, name)
    except (files.KeysError, OSError) as error:
        raise failed(why(error)) from None
    print(f"{name} is let in no more")
