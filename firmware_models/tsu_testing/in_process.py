"""An emulated chip in this process: the daemon's session, chip and firmware behind the driver, without sockets and without a
process of its own. Everything that comes of it is bit for bit what a daemon gives."""

from __future__ import annotations

import fcntl
from collections.abc import Mapping
from typing import Any

from tsu_contract import bench
from tsu_contract.bench import decode_reply as decode_answer
from tsu_contract.bench import encode_request as encode_question
from tsu_contract.errors import ProtocolError
from tsu_contract.wire import Frame, Reply, Request, decode_reply, encode_request
from tsu_driver import Chip
from tsu_driver.errors import LinkError, error_of
from tsu_driver.instruments import Instruments
from tsu_emu.bench.client import Oracle, OracleError
from tsu_emu.bench.instruments import Instruments as InstrumentsDoor
from tsu_emu.bench.oracle import Oracle as OracleDoor
from tsu_emu.chip import Chip as EmulatedChip
from tsu_emu.code_cache import cache_directory
from tsu_emu.config import ChipConfig, load
from tsu_emu.keep.records import What
from tsu_emu.server.session import Server
from tsu_emu.warmup import warm_up
from tsu_firmware import firmware_of
from tsu_testing.recorded import Handler, Recorded

_COMPILED: set[str] = set()
"""Kinds of cells whose code this process has seen compiled."""


class InProcessLink:
    """A `tsu_driver.Link` that hands frames to the session at once; both sides have copies of their own, as over a wire."""

    def __init__(self, server: Server | Recorded) -> None:
        self._server: Server | Recorded | None = server

    def call(self, request: Request, timeout_s: float) -> Reply:
        """The reply, however long it takes; LinkError after `close`."""
        if self._server is None:
            raise LinkError("the link is closed")
        return decode_reply(_copied(self._server.handle(_copied(encode_request(request)))))

    def close(self) -> None:
        """Let go of the chip."""
        self._server = None


class InProcessOracle(Oracle):
    """The oracle of a chip in this process."""

    def __init__(self, chip: EmulatedChip, recorded: Recorded | None = None) -> None:
        door = OracleDoor(chip)
        self._handle = recorded.door(What.ORACLE, door) if recorded else door.handle

    def close(self) -> None:
        """Nothing is to be let go of."""

    def ask(self, verb: str, /, **body: Any) -> bench.Reply:
        """As over a wire; OracleError if it refuses."""
        reply = _asked(self._handle, verb, body)
        if reply.failure is not None:
            raise OracleError(ProtocolError(reply.failure))
        return reply


class InProcessInstruments(Instruments):
    """The instruments round a chip in this process."""

    def __init__(self, chip: EmulatedChip, recorded: Recorded | None = None) -> None:
        door = InstrumentsDoor(chip)
        self.url, self._handle = "this process", recorded.door(What.INSTRUMENTS, door) if recorded else door.handle
        self.identity = self._ask("identify")

    def close(self) -> None:
        """Nothing is to be let go of; settings stay."""

    def _ask(self, verb: str, **body: Any) -> dict[str, Any]:
        reply = _asked(self._handle, verb, body)
        if reply.failure is not None:
            raise error_of(reply.failure)
        return reply.body


class InProcessChip(Chip):
    """The driver's chip, with its bench.

    config : of the emulated chip; oracle : faults and truth, for tools and tests; instruments : ambient, supply, source, time
    emulated : the chip itself, past its pins; recorded : all that is asked of it, if that is recorded
    """

    def __init__(self, config: ChipConfig, *, threads: int = 1, record: bool = False) -> None:
        see_compiled(config)
        firmware = None if config.cpu.image else firmware_of(config.cpu.firmware, config.map.registers().hash_word)
        self.emulated = emulated = EmulatedChip(config, firmware, threads=threads)
        server = Server(emulated)
        self.recorded = Recorded(server) if record else None
        self.config, self.oracle = config, InProcessOracle(emulated, self.recorded)
        self.instruments = InProcessInstruments(emulated, self.recorded)
        super().__init__(InProcessLink(self.recorded or server))


def open_in_process(
    name: str,
    *,
    die_seed: int | None = None,
    run_seed: int | None = None,
    changes: Mapping[str, object] | None = None,
    threads: int = 1,
) -> InProcessChip:
    """A chip that has booted, as `tsu_driver.open("emu:NAME?...")` gives it; a context manager.

    name : of a shipped configuration, or the path of a file; die_seed, run_seed : instead of the configuration's
    changes : values to set anew by key path, such as {"coupling.dac.bits": 6}
    ConfigError: there is no such chip.
    """
    seeds = {f"seeds.{key}": value for key, value in (("die", die_seed), ("run", run_seed)) if value is not None}
    return InProcessChip(load(name, {key: str(value) for key, value in (seeds | dict(changes or {})).items()}), threads=threads)


def see_compiled(config: ChipConfig) -> None:
    """What chips of a kind run is compiled once; of several processes that begin together one compiles, and the others wait."""
    if config.cell.kind in _COMPILED:
        return
    folder = cache_directory()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        warm_up(lambda done, total: None, config)
    _COMPILED.add(config.cell.kind)


def _copied(frames: list[Frame]) -> list[Frame]:
    return [bytes(frame) for frame in frames]


def _asked(handle: Handler, verb: str, body: dict[str, Any]) -> bench.Reply:
    return decode_answer(_copied(handle(encode_question(bench.Request(verb, 1, body)))))
