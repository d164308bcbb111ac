"""`tsu-emu record` and `tsu-emu replay`: a life of a chip in a file, and the same again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tsu_emu.commands.ending import ConfigArgument, failed, why
from tsu_emu.commands.serve import assignment, chip_of, door_endpoints, powered

if TYPE_CHECKING:
    from tsu_emu.config import ChipConfig
    from tsu_emu.keep.disk import File
    from tsu_emu.keep.recording import Outcome, Recording


def record(
    config: ConfigArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the recording goes; it is written over nothing.")],
    endpoint: Annotated[
        str | None, typer.Option(help="ipc://PATH or tcp://127.0.0.1:PORT; by default an ipc socket in your run-time directory.")
    ] = None,
    die_seed: Annotated[int | None, typer.Option(min=0, help="Which die: overrides seeds.die.")] = None,
    run_seed: Annotated[int | None, typer.Option(min=0, help="Which life: overrides seeds.run.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the array; no result depends on it.")] = 2,
    changes: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set a value of CONFIG anew.")] = None,
    exit_with_stdin: Annotated[bool, typer.Option("--exit-with-stdin", help="End when standard input closes.")] = False,
    bench: Annotated[bool, typer.Option("--bench", help="Instruments and oracle, beside an ipc ENDPOINT.")] = False,
) -> None:
    """Be the chip of CONFIG, as `serve`, and record all that is asked of it.

    FILE has configuration, seeds, and every request with check sums of its reply; `tsu-emu replay FILE` does it all again.
    """
    from tsu_emu.config import ConfigError, load
    from tsu_emu.server.daemon import announce
    from tsu_emu.server.endpoints import EndpointError, default_endpoint

    try:
        seeds = {f"seeds.{k}": str(v) for k, v in (("die", die_seed), ("run", run_seed)) if v is not None}
        chip = load(config, seeds | dict(assignment(text) for text in changes or ()))
        at = endpoint or default_endpoint(chip.name)
        if file.exists() and file.stat().st_size:
            raise ConfigError(f"{file} exists already; a recording is written over nothing")
        _record(chip, file, at, door_endpoints(at, None, None, bench), threads, exit_with_stdin)
    except (ConfigError, EndpointError, OSError) as error:
        announce("error", message=why(error))
        raise failed(why(error)) from None


def _record(config: ChipConfig, path: Path, endpoint: str, doors: dict[str, str], threads: int, exit_with_stdin: bool) -> None:
    import os

    from tsu_emu.bench.instruments import Instruments
    from tsu_emu.bench.oracle import Oracle
    from tsu_emu.keep.recording import Recorder
    from tsu_emu.keep.records import What
    from tsu_emu.server.daemon import Daemon, announce

    server = powered(config, (endpoint, *doors.values()), threads)
    chip = server.chip
    recorder = Recorder(_file(path), server)
    bench = {"instruments": (What.INSTRUMENTS, Instruments(chip)), "oracle": (What.ORACLE, Oracle(chip))}
    handlers = {name: (at, recorder.attach(*bench[name])) for name, at in doors.items()}
    daemon = Daemon(server, endpoint, exit_with_stdin, handlers, handle=recorder.attach(What.REQUEST, server))
    try:
        daemon.run(lambda: announce("ready", endpoint=daemon.endpoint, pid=os.getpid(), name=config.name, **daemon.endpoints))
    finally:
        recorder.close()
    if exit_with_stdin:
        os._exit(0)


def _file(path: Path) -> File:
    import os

    from tsu_emu.keep.disk import OsFile

    return OsFile(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recording.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Do again what a recording has, and compare every reply and the last state.

    Exit code 0: all is the same. 1: the first difference is printed: which request, at which chip time, and what differs.
    """
    import json

    from tsu_emu.keep.recording import RecordingError, read_recording

    try:
        recording = read_recording(file.read_bytes())
        outcome = _replayed(recording)
    except RecordingError as error:
        raise failed(f"{file}: {error}") from None
    except OSError as error:
        raise failed(why(error)) from None
    if as_json:
        print(json.dumps({**outcome._asdict(), "same": not outcome.what, "recorded": recording.requests, "cut": recording.cut}))
    else:
        print(_told(outcome, recording))
    if outcome.what:
        raise typer.Exit(1)


def _replayed(recording: Recording) -> Outcome:
    """With a bar on stderr, if that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    from tsu_emu.keep.recording import replay as again

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("replaying", total=recording.requests)
        return again(recording, chip_of, lambda done, total: bar.update(task, completed=done))


def _told(outcome: Outcome, recording: Recording) -> str:
    if outcome.what:
        return f"request {outcome.number}, chip time {outcome.time}: {outcome.what}"
    end = (
        "and so is the state at the end" if outcome.ended else "the recording has no end, so that the last state is not compared"
    )
    return f"{outcome.requests} of {recording.requests} requests: all replies are the same, {end}; digest {outcome.digest}"
