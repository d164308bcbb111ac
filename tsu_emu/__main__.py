"""Command line of the emulator, and the place where chip, firmware and daemon are put together."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tsu_emu import __version__

if TYPE_CHECKING:
    from tsu_emu.chip import Chip
    from tsu_emu.config import ChipConfig
    from tsu_emu.server.daemon import Handler
    from tsu_emu.server.gdb import Debugger

app = typer.Typer(
    name="tsu-emu",
    help="A thermodynamic sampling unit in software. `tsu-emu serve digits-typical` is a chip; talk to it with tsu_driver.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigArgument = Annotated[
    str, typer.Argument(metavar="CONFIG", help="Name of a shipped configuration, or path of a .toml file.")
]


def _fail(message: str) -> typer.Exit:
    print(f"tsu-emu: {message}", file=sys.stderr)
    return typer.Exit(2)


@app.command()
def serve(
    config: ConfigArgument,
    endpoint: Annotated[
        str | None, typer.Option(help="ipc://PATH or tcp://127.0.0.1:PORT; by default an ipc socket in your run-time directory.")
    ] = None,
    die_seed: Annotated[int | None, typer.Option(min=0, help="Which die: overrides seeds.die.")] = None,
    run_seed: Annotated[int | None, typer.Option(min=0, help="Which life: overrides seeds.run.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the array; no result depends on it.")] = 2,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a value of CONFIG anew, e.g. coupling.dac.bits=6; repeatable."),
    ] = None,
    exit_with_stdin: Annotated[bool, typer.Option("--exit-with-stdin", help="End when standard input closes.")] = False,
    instruments: Annotated[
        str | None, typer.Option(help="Endpoint of the instruments door: ambient, supply, analog source, time skipping.")
    ] = None,
    oracle: Annotated[str | None, typer.Option(help="Endpoint of the oracle door: faults and ground truth, for tests.")] = None,
    bench: Annotated[
        bool, typer.Option("--bench", help="Both doors, beside an ipc ENDPOINT: ENDPOINT.instruments and ENDPOINT.oracle.")
    ] = False,
    gdb: Annotated[
        int | None,
        typer.Option(metavar="PORT", min=0, max=65535, help="GDB server of the firmware core, on 127.0.0.1; 0 chooses a port."),
    ] = None,
    gdb_wait: Annotated[bool, typer.Option("--gdb-wait", help="Stop the core before its first instruction; with --gdb.")] = False,
    trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a timeline for Perfetto: firmware, interrupts, sequencer, DACs."),
    ] = None,
) -> None:
    """Be the chip of CONFIG until SIGTERM, SIGINT, or the end of standard input if asked.

    Prints JSON lines: {"event": "progress", ...} while it compiles, {"event": "ready", "endpoint": ...} when it answers, with the
    endpoints of the lab bench's doors if they are open, and the address for GDB's `target remote`.
    The boot firmware runs in chip time: WAIT for SYS.BOOT to say READY.
    """
    from tsu_emu.config import ConfigError, load
    from tsu_emu.server.daemon import EndpointError, announce, default_endpoint

    try:
        seeds = {f"seeds.{k}": str(v) for k, v in (("die", die_seed), ("run", run_seed)) if v is not None}
        chip = load(config, seeds | dict(_assignment(text) for text in changes or ()))
        at = endpoint or default_endpoint(chip.name)
        if gdb_wait and gdb is None:
            raise ConfigError("--gdb-wait goes with --gdb PORT")
        if gdb is not None and not chip.cpu.image:
            raise ConfigError("--gdb: the chip has no firmware core; cpu.image names what one is to execute")
        _serve(chip, at, _doors(at, instruments, oracle, bench), threads, exit_with_stdin, gdb, gdb_wait, trace)
    except (ConfigError, EndpointError) as error:
        announce("error", message=str(error))
        raise _fail(str(error)) from None


def _assignment(text: str) -> tuple[str, str]:
    """KEY=VALUE of --set."""
    from tsu_emu.config import ConfigError

    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ConfigError(f"--set {text}: KEY=VALUE is expected, such as coupling.dac.bits=6")
    return key, value


def _doors(endpoint: str, instruments: str | None, oracle: str | None, bench: bool) -> dict[str, str]:
    """Endpoints of the doors that are to be open, by name."""
    from tsu_emu.server.daemon import EndpointError

    asked = {"instruments": instruments, "oracle": oracle}
    if bench and not endpoint.startswith("ipc://") and None in asked.values():
        raise EndpointError(f"{endpoint}: --bench needs an ipc endpoint; else say where, with --instruments and --oracle")
    return {name: at or f"{endpoint}.{name}" for name, at in asked.items() if at or bench}


def _serve(
    config: ChipConfig, endpoint: str, doors: dict[str, str], threads: int, exit_with_stdin: bool, gdb: int | None,
    gdb_wait: bool, trace: Path | None,
) -> None:  # fmt: skip
    import os

    from tsu_emu.chip import Chip
    from tsu_emu.server.daemon import Daemon, announce, boot_word, keep_freed_memory, prepare
    from tsu_emu.server.session import Server
    from tsu_emu.warmup import warm_up_once
    from tsu_firmware import BootFirmware

    keep_freed_memory()
    for at in (endpoint, *doors.values()):
        prepare(at)
    warm_up_once(lambda done, total: announce("progress", text="compiling the chip", done=done, total=total), config)
    chip = Chip(config, None if config.cpu.image else BootFirmware(), threads=min(threads, os.cpu_count() or 1))
    debugger = _debugger(chip, gdb, gdb_wait)
    daemon = Daemon(Server(chip, boot=boot_word()), endpoint, exit_with_stdin, _handlers(chip, doors), debugger)
    more = daemon.endpoints | ({"gdb": debugger.address} if debugger else {})
    with _traced(chip, trace):
        daemon.run(lambda: announce("ready", endpoint=daemon.endpoint, pid=os.getpid(), name=config.name, **more))
    if exit_with_stdin:
        # whoever started it waits for its end, and the interpreter takes its time over compiled code
        os._exit(0)


def _debugger(chip: Chip, port: int | None, wait: bool) -> Debugger | None:
    """The GDB server, if one is asked for."""
    if port is None:
        return None
    from tsu_emu.server.daemon import EndpointError
    from tsu_emu.server.gdb import Debugger

    try:
        return Debugger(chip, port, wait)
    except OSError as error:
        raise EndpointError(f"--gdb {port}: {error}") from None


@contextmanager
def _traced(chip: Chip, path: Path | None) -> Iterator[None]:
    """A timeline of the chip is written, if one is asked for."""
    if path is None:
        yield
        return
    from tsu_emu.config import ConfigError
    from tsu_emu.server.trace import Recorder

    image = chip.config.cpu.image
    try:
        recorder = Recorder(chip, path, Path(image) if image else None)
    except OSError as error:
        raise ConfigError(f"--trace {path}: {error}") from None
    try:
        yield
    finally:
        recorder.close()


def _handlers(chip: Chip, doors: dict[str, str]) -> dict[str, tuple[str, Handler]]:
    """Endpoint and handler of each door, by name."""
    if not doors:
        return {}
    from tsu_emu.bench.instruments import Instruments
    from tsu_emu.bench.oracle import Oracle

    kinds = {"instruments": Instruments, "oracle": Oracle}
    return {name: (at, kinds[name](chip).handle) for name, at in doors.items()}


@app.command()
def oracle(
    url: Annotated[str, typer.Argument(help="Where the oracle's door is: ipc://PATH or tcp://127.0.0.1:PORT.")],
    verb: Annotated[str, typer.Argument(help="identify, list, inject, clear, upset, truth or digest.")],
    values: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="What the verb is told; docs/bench.md has them all.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, arrays whole.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds that a reply may take.")] = 30.0,
) -> None:
    """Ask the oracle of an emulated chip: faults, ground truth, digest of the state.

    Numbers may be hexadecimal (0x10); an address may be a register's name.

    Examples: inject kind=stuck-cell cell=3 at=up; upset address=TEMP.TDAC bits=0x10; truth name=offset; clear fault=0
    """
    import json

    from tsu_contract.bench import fault_of
    from tsu_emu.bench.client import Oracle, OracleError

    try:
        body = dict(_pair(text) for text in values or ())
        with Oracle(url, timeout) as asked:
            reply = asked.ask(verb, **body)
    except OracleError as error:
        raise _fail(str(error)) from None
    arrays = {k: [fault_of(row) for row in a] if k == "faults" else a.tolist() for k, a in reply.arrays.items()}
    if as_json:
        print(json.dumps({"cycle": reply.cycle, **reply.body, **arrays}))
        return
    for key, value in reply.body.items():
        print(f"{key:<12} {value}")
    for key, array in reply.arrays.items():
        print(*(arrays[key] if key == "faults" else [f"{key} {list(array.shape)} {array.dtype}", array]), sep="\n")


def _pair(text: str) -> tuple[str, int | str]:
    """KEY=VALUE: a number if it reads as one, the address of a register if it is one's name, else text."""
    from tsu_contract.registers import REGISTERS

    key, equals, value = text.partition("=")
    if not equals:
        raise _fail(f"{text!r} is not KEY=VALUE")
    if value in REGISTERS:
        return key, REGISTERS[value].address
    try:
        number = int(value, 0)
    except ValueError:
        return key, value
    if not -(1 << 63) <= number < 1 << 64:
        raise _fail(f"{text}: a number of 64 bits expected")
    return key, number


@app.command()
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
        raise _fail(str(error)) from None
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


@app.command()
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
        raise _fail(str(error)) from None
    with Progress() as bar:
        from tsu_emu.warmup import warm_up

        for chip in chosen:
            task = bar.add_task(f"compiling for {chip.name}", total=None)

            def show(done: int, total: int, task: TaskID = task) -> None:
                bar.update(task, completed=done, total=total)

            warm_up(show, chip)
            bar.update(task, completed=1, total=1)


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
