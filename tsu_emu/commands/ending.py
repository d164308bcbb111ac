"""How a command ends that cannot do what it was asked, and what several commands take."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

ConfigArgument = Annotated[
    str, typer.Argument(metavar="CONFIG", help="Name of a shipped configuration, or path of a .toml file.")
]


def why(error: Exception) -> str:
    """An error in words; of a file, its name and what is wrong with it."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def failed(message: str) -> typer.Exit:
    """Says what is wrong; to be raised."""
    print(f"tsu-emu: {message}", file=sys.stderr)
    return typer.Exit(2)
