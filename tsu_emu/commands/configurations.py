"""`tsu-emu configs` and `tsu-emu warmup`: the shipped configurations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from tsu_emu.commands.ending import failed

UNSOURCED = ("name", "description")
"""What a configuration says of itself."""
VALUE_WIDTH = 24


def _stated(table: dict[str, Any], under: str = "") -> Iterator[tuple[str, Any]]:
    """Key path and value of all that a configuration's file states."""
    for key, value in table.items():
        if key == "provenance" and not under:
            continue
        if isinstance(value, dict) and value:
            yield from _stated(value, f"{under}{key}.")
        else:
            yield under + key, value


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= VALUE_WIDTH else f"{text[: VALUE_WIDTH - 3]}..."


def configs(
    show: Annotated[
        str | None, typer.Argument(metavar="[CONFIG]", help="Print this one, with the provenance of its values.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the shipped configurations, or print one with where each value comes from."""
    import json

    from tsu_emu.config import ConfigError, load, provenance_of, shipped

    try:
        chosen = [load(show)] if show else [load(name) for name in shipped()]
    except ConfigError as error:
        raise failed(str(error)) from None
    if as_json:
        print(json.dumps([c.model_dump(by_alias=True) for c in chosen], indent=1))
        return
    for c in chosen:
        print(f"{c.name:<16} {c.description}")
        for path, value in _stated(c.model_dump(by_alias=True, exclude_unset=True)) if show else ():
            if path not in UNSOURCED:
                print(f"  {path:<36} {_short(value):<24} {provenance_of(c, path) or ''}".rstrip())


def warmup(
    config: Annotated[
        str | None, typer.Argument(metavar="[CONFIG]", help="What to compile for; all shipped configurations if left out.")
    ] = None,
) -> None:
    """Compile now, into the user's cache directory, so that the first `serve` starts at once.

    Compiled code of other versions that nobody used for 30 days is removed.
    """
    from rich.progress import Progress, TaskID

    from tsu_emu.config import ConfigError, load, shipped

    try:
        chosen = [load(name) for name in ([config] if config else shipped())]
    except ConfigError as error:
        raise failed(str(error)) from None
    with Progress() as bar:
        from tsu_emu.warmup import warm_up

        for chip in chosen:
            task = bar.add_task(f"compiling for {chip.name}", total=None)

            def show(done: int, total: int, task: TaskID = task) -> None:
                bar.update(task, completed=done, total=total)

            warm_up(show, chip)
            bar.update(task, completed=1, total=1)
    from tsu_emu.commands.older import remove_forgotten

    count, size = remove_forgotten()
    if count:
        print(f"removed compiled code of {count} other versions that nobody used for 30 days, {size / 1e6:,.0f} MB")
