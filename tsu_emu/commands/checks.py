"""What `doctor` looks at: this machine, as far as a daemon depends on it."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path

from tsu_emu.commands.older import other_versions, size_of

GIB = 1 << 30
DISK_BYTES, MEMORY_BYTES = GIB, GIB
"""What compiled code of a few versions, and a chip with its caches, take at the most."""
DESCRIPTORS = 2100
"""For a thousand clients and what else is open."""
PRIVATE_SOCKET, PRIVATE_MAX = "tsu-12345678/chip.sock", 103
"""Where a private emulator listens below the directory of temporary files, and how long such a path may be."""


class Verdict(StrEnum):
    """What a check comes to."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """One thing looked at. found : what is so; advice : what to do about it, "" if nothing."""

    name: str
    verdict: Verdict
    found: str
    advice: str = ""


def _ok(name: str, found: str) -> Check:
    return Check(name, Verdict.OK, found)


def _warn(name: str, found: str, advice: str) -> Check:
    return Check(name, Verdict.WARN, found, advice)


def _fail(name: str, found: str, advice: str) -> Check:
    return Check(name, Verdict.FAIL, found, advice)


def python() -> Check:
    """The interpreter."""
    found = f"{platform.python_version()}, {platform.machine()}, {sys.byteorder}-endian"
    if sys.version_info < (3, 11) or sys.byteorder != "little" or sys.maxsize < 1 << 62:
        return _fail("Python", found, "install a 64-bit Python 3.11 or newer on a little-endian machine")
    return _ok("Python", found)


def packages() -> Check:
    """What does the work."""
    names = ("tsu-emu", "tsu-driver", "numba", "numpy", "pyzmq", "msgpack")
    return _ok("packages", ", ".join(f"{name} {_version(name)}" for name in names))


def processor() -> Check:
    """Which kernels will run."""
    from tsu_emu.lanes.target import HAS_VECTORS

    restricted = [f"{name}={os.environ[name]}" for name in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES") if os.environ.get(name)]
    found = f"{os.cpu_count()} cores, kernels {'with vectors of 512 bits' if HAS_VECTORS else 'without vector instructions'}"
    if restricted:
        return _warn("processor", f"{found}; {', '.join(restricted)}", "unset these if speed matters")
    if not HAS_VECTORS:
        return Check("processor", Verdict.WARN, found, "results are the same; AVX-512 with GFNI and VAES is some times as fast")
    return _ok("processor", found)


def compiled_code() -> Check:
    """The cache of compiled code: whether it can be written, and is."""
    from tsu_emu.code_cache import cache_directory

    place = cache_directory()
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        return _fail("compiled code", str(error), "set XDG_CACHE_HOME to a directory that you may write")
    files = list(place.rglob("*.nbc"))
    found = f"{place}: {len(files)} functions, {_megabytes(size_of(place))}"
    if not files:
        return _warn("compiled code", found, "the first start compiles for minutes; `tsu-emu warmup` does it now")
    return _ok("compiled code", found)


def older_code() -> Check:
    """Compiled code of other versions."""
    others = other_versions()
    size = sum(map(size_of, others))
    found = f"{len(others)} other versions, {_megabytes(size)}"
    if size > GIB // 2:
        place = others[0].parent
        return _warn("older code", found, f"`tsu-emu warmup` removes what nobody used for 30 days; the rest is yours: {place}")
    return _ok("older code", found)


def runtime_directory() -> Check:
    """Where sockets lie."""
    from tsu_emu.server.endpoints import default_endpoint

    place = Path(default_endpoint("x").removeprefix("ipc://")).parent
    if not place.exists():
        return _ok("run-time directory", f"{place} will be made by the first daemon")
    found = place.stat()
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid != os.getuid():
        return Check(
            "run-time directory", Verdict.FAIL, f"{place} belongs to user {found.st_uid}", "set XDG_RUNTIME_DIR to your own"
        )
    if mode & 0o022:
        return _fail("run-time directory", f"{place} has mode {mode:04o}", f"others may put sockets there: chmod 700 {place}")
    return _ok("run-time directory", f"{place}, mode {mode:04o}")


def socket_paths() -> Check:
    """Whether the paths of sockets are short enough."""
    import zmq

    from tsu_emu.config import shipped
    from tsu_emu.server.endpoints import default_endpoint

    longest = max(shipped(), key=len)
    ours = len(os.fsencode(default_endpoint(longest).removeprefix("ipc://")))
    private = len(os.fsencode(os.path.join(tempfile.gettempdir(), PRIVATE_SOCKET)))
    found = f"{ours} of {zmq.IPC_PATH_MAX_LEN} bytes for {longest}, {private} of {PRIVATE_MAX} for a private emulator"
    if ours > zmq.IPC_PATH_MAX_LEN:
        return _fail("socket paths", found, "set XDG_RUNTIME_DIR to a shorter path, or give --endpoint")
    if private > PRIVATE_MAX:
        return _fail("socket paths", found, "set TMPDIR to a shorter path")
    return _ok("socket paths", found)


def disk() -> Check:
    """Room for compiled code."""
    from tsu_emu.code_cache import cache_directory

    place = next(path for path in (cache_directory(), *cache_directory().parents) if path.exists())
    free = shutil.disk_usage(place).free
    if free < DISK_BYTES:
        return _warn("disk", f"{_megabytes(free)} free at {place}", "make room: compiled code takes some 100 MB")
    return _ok("disk", f"{_megabytes(free)} free at {place}")


def memory() -> Check:
    """Room for a chip."""
    rows = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    free = int(rows["MemAvailable"].split()[0]) * 1024
    if free < MEMORY_BYTES:
        return _warn("memory", f"{_megabytes(free)} available", "large chips and bulk replies take up to 1 GB")
    return _ok("memory", f"{_megabytes(free)} available")


def descriptors() -> Check:
    """How many clients may connect."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard != resource.RLIM_INFINITY else 1 << 30
    found = f"{soft}, of which a daemon may make {most}"
    if most < DESCRIPTORS:
        return Check(
            "descriptors", Verdict.WARN, found, f"for a thousand clients raise the hard limit to {DESCRIPTORS}: ulimit -Hn"
        )
    return _ok("descriptors", found)


def loopback() -> Check:
    """Whether ports of this machine can be had."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as here:
            return _ok("loopback", f"port {here.getsockname()[1]} could be had")
    except OSError as error:
        return _warn("loopback", str(error), "tcp endpoints, --gdb and --metrics need 127.0.0.1; ipc does not")


def clock() -> Check:
    """Whether time goes forward, and as fast as the system's."""
    begun, wall = time.monotonic(), time.time()
    time.sleep(0.05)
    passed, wall_passed = time.monotonic() - begun, time.time() - wall
    found = f"resolution {time.get_clock_info('monotonic').resolution:g} s, 50 ms took {1000 * passed:.0f} ms"
    if abs(passed - wall_passed) > 0.02:
        return Check(
            "clock", Verdict.WARN, f"{found}, the system's time moved {1000 * wall_passed:.0f} ms", "leases do not mind, logs do"
        )
    if passed > 0.5:
        return _warn("clock", found, "the machine is very busy: replies will take their time")
    return _ok("clock", found)


def daemons() -> Check:
    """Who answers in the run-time directory."""
    from tsu_emu.server.asking import asked_for_status
    from tsu_emu.server.endpoints import answered, default_endpoint

    place = Path(default_endpoint("x").removeprefix("ipc://")).parent
    answers: list[str] = []
    silent: list[str] = []
    left: list[str] = []
    for path in sorted(place.glob("*.sock")) if place.is_dir() else ():
        try:
            asked_for_status(f"ipc://{path}", 1.0)
            answers.append(path.stem)
        except OSError:
            (silent if answered(str(path)) else left).append(path.name)
    found = f"{', '.join(answers) or 'none'} running on the sockets in {place}"
    if silent:
        return _warn("daemons", f"{found}; no reply within 1 s at {', '.join(silent)}", "stopped, or at a long piece of work")
    if left:
        found += f"; nobody listens at {', '.join(left)}"
        return _warn("daemons", found, "left by a daemon that was killed; its next start takes it over")
    return _ok("daemons", found)


CHECKS: tuple[Callable[[], Check], ...] = (
    python, packages, processor, compiled_code, older_code, runtime_directory, socket_paths, disk, memory, descriptors, loopback,
    clock, daemons,
)  # fmt: skip


def checked() -> Iterator[Check]:
    """All checks, one after the other; one that breaks down has failed."""
    for look in CHECKS:
        try:
            yield look()
        except Exception as error:  # whatever is odd about a machine is what is looked for here
            yield Check(look.__name__.replace("_", " "), Verdict.FAIL, f"{type(error).__name__}: {error}", "tell its maintainers")


def _version(name: str) -> str:
    try:
        return version(name)
    except ModuleNotFoundError:
        return "not installed"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
