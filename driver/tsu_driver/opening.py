"""From a URL to a chip."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Callable
from urllib.parse import parse_qsl

from tsu_contract.extension import RegisterMap
from tsu_driver.calibration import Calibration
from tsu_driver.curve import SCHEME
from tsu_driver.daemon import Daemon
from tsu_driver.device import Chip
from tsu_driver.errors import HostError, LinkError
from tsu_driver.links import ZmqLink
from tsu_driver.names import find_map, seconds
from tsu_driver.trims import apply_at_open

QUERY = {"die_seed": "--die-seed", "run_seed": "--run-seed", "threads": "--threads", "bench": "--bench"}
"""Keys of an `emu:` URL's query, and the daemon's arguments for them; bench is 0 or 1, and its argument has no value."""

ANY_NUMBER = re.compile(r"[0-9]+"), "a whole number from 0 on"
LEGAL = {"threads": (re.compile(r"0*[1-9][0-9]*"), "a whole number from 1 on"), "bench": (re.compile(r"[01]"), "0 or 1")}


def open(
    url: str, *, timeout_s: float = 30.0, calibration: Calibration | str | os.PathLike[str] | None = None,
    map: str | os.PathLike[str] | None = None,
) -> Chip:  # fmt: skip
    """Open a chip and wait until it has booted.

    url : `ipc://path` or `tcp://host:port` of a daemon or a board, `tcp+curve://host:port?key=FILE&server=FILE` of a gateway
        (docs/gateway.md), or `emu:NAME-or-PATH` of a configuration, for which
        a private emulator is started that ends with `close()`; `emu:NAME?die_seed=3&run_seed=7&threads=2` sets options,
        `bench=1` opens the doors of the lab bench: `chip.instruments_url` (`tsu_driver.instruments`), `chip.oracle_url`;
        a key with a dot sets a value of the configuration anew: `emu:digits-ideal?coupling.dac.bits=6`
    timeout_s : how long a reply may take, and a daemon's socket to be there, in seconds (an emulator that is started may take
        longer, but not be silent for 300 s)
    calibration : applied at once: a Calibration, the name of a file of one, or "nvm" for that in the chip's own memory
    map : file of a folded register map of one's own, if the chip has it; an emulator that is started gets it
    HostError: the URL is not legal, the map is none, or the calibration damaged or another chip's. LinkError: nobody answers, or
    not the right one. ChipFault: the chip's boot failed.
    """
    timeout_s = seconds(timeout_s, "timeout_s")
    if not isinstance(url, str):
        raise HostError(f"url = {url!r}; a string expected, such as 'emu:ideal-16' or 'ipc:///run/chip.sock'")
    if isinstance(calibration, (str, os.PathLike)) and calibration != "nvm":
        calibration = Calibration.load(calibration)
    chip = _open(url, timeout_s, map)
    try:
        if calibration is not None:
            apply_at_open(chip, calibration)
    except BaseException:
        chip.close()
        raise
    return chip


def _open(url: str, timeout_s: float, map: str | os.PathLike[str] | None) -> Chip:
    registers = find_map(map)
    if url.startswith("emu:"):
        daemon = Daemon(emulator_command(url, map))
        chip = _connect(daemon.endpoint, timeout_s, daemon.close, registers)
        chip.instruments_url, chip.oracle_url = daemon.doors.get("instruments"), daemon.doors.get("oracle")
        return chip
    if url.startswith(("ipc://", "tcp://", SCHEME)):
        return _connect(url, timeout_s, None, registers)
    raise HostError(f"cannot open {url!r}; a URL is ipc://path, tcp://host:port, tcp+curve://... or emu:NAME-or-PATH")


def emulator_command(url: str, map: str | os.PathLike[str] | None = None) -> list[str]:
    """Program and arguments that serve an `emu:` URL, with the file of a register map of one's own."""
    name, _, query = url.removeprefix("emu:").partition("?")
    if not name:
        raise HostError(f"{url!r} names no configuration; emu:NAME-or-PATH is expected")
    command = [sys.executable, "-m", "tsu_emu", "serve", name]
    for key, value in parse_qsl(query, keep_blank_values=True):
        if "." in key:
            command += ["--set", f"{key}={value}"]
            continue
        if key not in QUERY:
            known = f"{', '.join(QUERY)}, and keys of the configuration such as coupling.dac.bits"
            raise HostError(f"{url!r} has the option {key!r}; there are {known}")
        good, what = LEGAL.get(key, ANY_NUMBER)
        if not good.fullmatch(value):
            raise HostError(f"{url!r}: {key} is {value!r}; {what} is expected")
        command += [QUERY[key], value] if key != "bench" else [QUERY[key]] * int(value)
    if map is not None:
        command += ["--set", f"map.file={os.fspath(map)}"]
    if importlib.util.find_spec("tsu_emu") is None:
        raise LinkError(f"{url!r} needs the emulator, which is not installed: pip install tsu-emu")
    return command


def _connect(endpoint: str, timeout_s: float, closed: Callable[[], None] | None, registers: RegisterMap) -> Chip:
    try:
        return Chip(ZmqLink(endpoint), timeout_s=timeout_s, closed=closed, registers=registers)
    except BaseException:
        if closed is not None:
            closed()
        raise
