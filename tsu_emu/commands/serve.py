"""`tsu-emu serve`: where chip, firmware and daemon are put together."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from tsu_emu.commands.ending import ConfigArgument, failed
from tsu_emu.commands.operating import Level, LogJson, LogLevel, MetricsPort, managed, measured, told

if TYPE_CHECKING:
    from tsu_emu.chip import Chip
    from tsu_emu.config import ChipConfig
    from tsu_emu.keep.edge import Kept
    from tsu_emu.server.gdb import Debugger
    from tsu_emu.server.listener import Handler
    from tsu_emu.server.session import Server


TELL_SECONDS = 0.5
"""Least time between two lines of progress."""


class Keep(StrEnum):
    """When a reply may go out."""

    FAST = "fast"
    DURABLE = "durable"


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
        typer.Option(metavar="FILE", help="Write a timeline for Perfetto: bus, firmware, interrupts, sequencer, DACs, heat."),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Keep chip and sessions there: the next start goes on where this one ended or was killed."
        ),
    ] = None,
    keep: Annotated[
        Keep | None,
        typer.Option(help="With --state. durable: no reply before its request is on the disk; fast (default): up to .1 s later."),
    ] = None,
    vcd: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write waveforms: bus, sequencer, interrupts, temperature.")
    ] = None,
    metrics: MetricsPort = None,
    log_level: LogLevel = Level.WARNING,
    log_json: LogJson = False,
) -> None:
    """Be the chip of CONFIG until SIGTERM, SIGINT, SIGHUP, or the end of standard input if asked.

    Prints JSON lines: {"event": "progress", ...} while it compiles, {"event": "ready", "endpoint": ...} when it answers, with the
    endpoints of the lab bench's doors if they are open, and the address for GDB's `target remote`.
    The boot firmware runs in chip time: WAIT for SYS.BOOT to say READY.
    """
    from tsu_emu.config import ConfigError, load
    from tsu_emu.keep.edge import KeepError
    from tsu_emu.keep.recovery import Stopped
    from tsu_emu.server.daemon import announce
    from tsu_emu.server.endpoints import EndpointError, default_endpoint

    try:
        seeds = {f"seeds.{k}": str(v) for k, v in (("die", die_seed), ("run", run_seed)) if v is not None}
        chip = load(config, seeds | dict(assignment(text) for text in changes or ()))
        at = endpoint or default_endpoint(chip.name)
        if gdb_wait and gdb is None:
            raise ConfigError("--gdb-wait goes with --gdb PORT")
        if gdb is not None and not chip.cpu.image:
            raise ConfigError("--gdb: the chip has no firmware core; cpu.image names what one is to execute")
        if keep is not None and state is None:
            raise ConfigError("--keep goes with --state DIR: without it nothing is kept")
        if state is not None and gdb is not None:
            raise ConfigError("--gdb does not go with --state: what a debugger writes is in no journal")
        told(log_level, log_json)
        doors = door_endpoints(at, instruments, oracle, bench)
        kept = None if state is None else (state, keep is Keep.DURABLE)
        _serve(chip, Asked(at, doors, threads, exit_with_stdin, gdb, gdb_wait, trace, vcd, kept, metrics))
    except Stopped:
        announce("stopped", message="while carrying out again what the journal has")
    except (ConfigError, EndpointError, KeepError) as error:
        announce("error", message=str(error))
        raise failed(str(error)) from None


def assignment(text: str) -> tuple[str, str]:
    """KEY=VALUE of --set."""
    from tsu_emu.config import ConfigError

    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ConfigError(f"--set {text}: KEY=VALUE is expected, such as coupling.dac.bits=6")
    return key, value


def door_endpoints(endpoint: str, instruments: str | None, oracle: str | None, bench: bool) -> dict[str, str]:
    """Endpoints of the doors that are to be open, by name."""
    from tsu_emu.server.endpoints import EndpointError

    asked = {"instruments": instruments, "oracle": oracle}
    if bench and not endpoint.startswith("ipc://") and None in asked.values():
        raise EndpointError(f"{endpoint}: --bench needs an ipc endpoint; else say where, with --instruments and --oracle")
    return {name: at or f"{endpoint}.{name}" for name, at in asked.items() if at or bench}


class Asked(NamedTuple):
    """What `serve` is asked for, as its options say. kept : directory, and whether durable"""

    endpoint: str
    doors: dict[str, str]
    threads: int
    exit_with_stdin: bool
    gdb: int | None
    gdb_wait: bool
    trace: Path | None
    vcd: Path | None
    kept: tuple[Path, bool] | None
    metrics: int | None


def chip_of(config: ChipConfig, threads: int = 1) -> Chip:
    """A chip at power-on with its boot firmware."""
    from tsu_emu.chip import Chip
    from tsu_firmware import firmware_of

    firmware = firmware_of(config.cpu.firmware, config.map.registers().hash_word)
    return Chip(config, None if config.cpu.image else firmware, threads=threads)


def powered(config: ChipConfig, endpoints: Iterable[str], threads: int) -> Server:
    """The server of a chip at power-on, for a daemon on those endpoints; EndpointError before anything is compiled."""
    import os

    from tsu_emu.keep.edge import session_number
    from tsu_emu.server.daemon import allow_descriptors, announce, boot_word, keep_freed_memory
    from tsu_emu.server.endpoints import prepare
    from tsu_emu.server.session import Server
    from tsu_emu.warmup import warm_up_once

    keep_freed_memory()
    allow_descriptors()
    for at in endpoints:
        prepare(at)
    warm_up_once(lambda done, total: announce("progress", text="compiling the chip", done=done, total=total), config)
    server = Server(chip_of(config, min(threads, os.cpu_count() or 1)), boot=boot_word())
    server.sessions.next_number = session_number
    return server


def _serve(config: ChipConfig, asked: Asked) -> None:
    import os

    from tsu_emu.server.daemon import Daemon, announce

    server = powered(config, (asked.endpoint, *asked.doors.values()), asked.threads)
    chip = server.chip
    with _kept(server, asked.kept) as keeping, _traced(server, asked.trace, asked.vcd), measured(server, asked.metrics) as pages:
        debugger = _debugger(chip, asked.gdb, asked.gdb_wait)
        handle, handlers = _handlers(chip, asked.doors, keeping)
        keeper = keeping and keeping.keeper
        daemon = Daemon(server, asked.endpoint, asked.exit_with_stdin, handlers, debugger, keeper, handle)
        more = daemon.endpoints | ({"gdb": debugger.address} if debugger else {}) | pages
        with managed(server, daemon) as notifier:

            def ready() -> None:
                announce("ready", endpoint=daemon.endpoint, pid=os.getpid(), name=config.name, **more)
                notifier.ready()

            daemon.run(ready)
    if asked.exit_with_stdin or asked.kept is not None:
        # whoever started it waits for its end, and the interpreter takes its time over compiled code
        os._exit(0)


def _debugger(chip: Chip, port: int | None, wait: bool) -> Debugger | None:
    """The GDB server, if one is asked for."""
    if port is None:
        return None
    from tsu_emu.server.endpoints import EndpointError
    from tsu_emu.server.gdb import Debugger

    try:
        return Debugger(chip, port, wait)
    except OSError as error:
        raise EndpointError(f"--gdb {port}: {error}") from None


@contextmanager
def _traced(server: Server, timeline: Path | None, waveforms: Path | None) -> Iterator[None]:
    """What is asked for of the chip's life is written down."""
    from tsu_emu.config import ConfigError
    from tsu_emu.server.trace import Recorder, Watching, Waveforms

    image = server.chip.config.cpu.image
    watching = Watching(server)
    try:
        if timeline is not None:
            watching.add(Recorder(server.chip, timeline, Path(image) if image else None))
        if waveforms is not None:
            watching.add(Waveforms(server.chip, waveforms))
    except OSError as error:
        watching.close()
        raise ConfigError(f"{'--trace' if waveforms is None else '--trace or --vcd'}: {error}") from None
    try:
        yield
    finally:
        watching.close()


@contextmanager
def _kept(server: Server, asked: tuple[Path, bool] | None) -> Iterator[Kept | None]:
    """What keeps the server's life, if that is asked for."""
    if asked is None:
        yield None
        return
    from tsu_emu.keep.edge import kept
    from tsu_emu.server.daemon import announce

    last = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() >= last + TELL_SECONDS:
            last = time.monotonic()
            announce("progress", text="carrying out again what the journal has", done=done, total=total)

    with kept(server, *asked, tell) as found:
        announce("recovered", requests=found.recovered.requests, cut=found.recovered.cut, first=found.recovered.first)
        yield found


def _handlers(chip: Chip, doors: dict[str, str], keeping: Kept | None) -> tuple[Handler | None, dict[str, tuple[str, Handler]]]:
    """Handler of the front door, if it is not the server's own; endpoint and handler of each further door, by name."""
    if keeping is not None:
        handlers = keeping.handlers
        return handlers["front"], {name: (at, handlers[name]) for name, at in doors.items()}
    if not doors:
        return None, {}
    from tsu_emu.bench.instruments import Instruments
    from tsu_emu.bench.oracle import Oracle

    kinds = {"instruments": Instruments, "oracle": Oracle}
    return None, {name: (at, kinds[name](chip).handle) for name, at in doors.items()}
