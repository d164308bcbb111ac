"""`tsu-emu configs` and `tsu-emu warmup`: the shipped configurations."""

from __future__ import annotations

from typing import Annotated

import typer

from tsu_emu.commands.ending import failed


def configs(
    show: Annotated[
        str | None, typer.Argument(metavar="[CONFIG]", help="Print this one, with the provenance of its values.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the shipped configurations, or print one with where each value comes from."""
    import json

    from tsu_emu.config import ConfigError, load, shipped

    try:
        chosen = [load(show)] if show else [load(name) for name in shipped()]
    except ConfigError as error:
        raise failed(str(error)) from None
    if as_json:
        print(json.dumps([c.model_dump(by_alias=True) for c in chosen], indent=1))
        return
    for c in chosen:
        print(f"{c.name:<16} {c.description}")
        for path, source in c.provenance.items() if show else ():
            value: object = c.model_dump(by_alias=True)
            for part in path.split("."):
                value = value[part] if isinstance(value, dict) else value
            print(f"  {path:<34} {value!s:<28} {source}")


def warmup(
    config: Annotated[
        str | None, typer.Argument(metavar="[CONFIG]", help="What to compile for; all shipped configurations if left out.")
    ] = None,
) -> None:
    """Compile now, into the user's cache directory, so that the first `serve` starts at once."""
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
