"""pytest fixtures for firmware and host programs on emulated chips in the test's own process; docs/firmware-testing.md.

Nothing of the emulator is imported before a test asks for a chip.
"""

from __future__ import annotations

import shlex
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tsu_testing.bench import Bench
    from tsu_testing.coverage import Coverage
    from tsu_testing.firmware import Firmware
    from tsu_testing.in_process import InProcessChip

DEFAULT = "ideal-16"
COVERAGE: pytest.StashKey[dict[Path, Coverage]] = pytest.StashKey()
BENCH: pytest.StashKey[Bench] = pytest.StashKey()
"""Coverage by image, of a session; the bench of a test."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Seeds, and where coverage goes."""
    group = parser.getgroup("tsu", "emulated chips")
    group.addoption("--tsu-die-seed", type=int, metavar="N", help="die of all chips, instead of the tests' own")
    group.addoption("--tsu-run-seed", type=int, metavar="N", help="life of all chips, instead of the tests' own")
    group.addoption("--tsu-recordings", type=Path, metavar="DIR", help="recordings of failed tests go there")
    group.addoption("--tsu-coverage", type=Path, metavar="FILE", help="write line and branch coverage of firmware here (lcov)")


def pytest_configure(config: pytest.Config) -> None:
    """The marker, and a place for coverage. UsageError: there is no such directory for it."""
    to = config.getoption("tsu_coverage")
    if to is not None and not to.absolute().parent.is_dir():
        raise pytest.UsageError(f"--tsu-coverage {to}: {to.parent} is no directory")
    config.addinivalue_line(
        "markers",
        "tsu(config='ideal-16', image=None, die_seed=None, run_seed=None, **changes): the chip of this test; changes are values "
        "of the configuration by key path, with __ for the dot",
    )
    config.stash[COVERAGE] = {}


@pytest.fixture
def tsu_bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """The bench round the chip of this test: faults, ambient, supply, truth."""
    from tsu_emu.config import ConfigError
    from tsu_testing.bench import Bench

    config, image, values = _asked(request)
    if image is None and "tsu_firmware" in request.fixturenames:
        pytest.fail("tsu_firmware needs an image: @pytest.mark.tsu(image='firmware.elf')", pytrace=False)
    try:
        bench = Bench(config, image, values, driven="tsu_chip" in request.fixturenames)
    except ConfigError as error:
        raise pytest.fail.Exception(f"@pytest.mark.tsu: {error}", pytrace=False) from None
    request.node.stash[BENCH] = bench
    try:
        yield bench
        if bench.firmware is not None and request.config.getoption("tsu_coverage"):
            _add_coverage(request.config, bench)
    finally:
        bench.close()


@pytest.fixture
def tsu_chip(tsu_bench: Bench) -> InProcessChip:
    """The driver's chip, booted."""
    return tsu_bench.driver


@pytest.fixture
def tsu_firmware(tsu_bench: Bench) -> Firmware:
    """The marker's image on the chip's core, at power-on unless the test has `tsu_chip` too."""
    assert tsu_bench.firmware is not None
    return tsu_bench.firmware


def _asked(request: pytest.FixtureRequest) -> tuple[str, Path | None, dict[str, str]]:
    """Configuration, image, and values to set anew: of the nearest marker and the command line."""
    marker = request.node.get_closest_marker("tsu")
    given: dict[str, Any] = dict(marker.kwargs) if marker else {}
    config = str(marker.args[0]) if marker and marker.args else str(given.pop("config", DEFAULT))
    image = given.pop("image", None)
    for seed in ("die", "run"):
        value = given.pop(f"{seed}_seed", None)
        over = request.config.getoption(f"tsu_{seed}_seed")
        value = value if over is None else over
        if value is not None:
            given[f"seeds.{seed}"] = value
    path = None if image is None else (request.path.parent / image).resolve()
    return config, path, {key.replace("__", "."): str(value) for key, value in given.items()}


def _add_coverage(config: pytest.Config, bench: Bench) -> None:
    from tsu_testing.coverage import Coverage

    assert bench.firmware is not None
    found = config.stash[COVERAGE]
    path = bench.firmware.path
    if path not in found:
        found[path] = Coverage(path)
    core = bench.emulated.core
    assert core is not None
    found[path].add(bench.firmware.tracer, core)


def _recordings(config: pytest.Config) -> Path:
    """Where recordings of failed tests go: where it was asked for, else beside pytest's cache."""
    asked: Path | None = config.getoption("tsu_recordings")
    return asked or config.rootpath / ".pytest_cache" / "tsu-recordings"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:  # fmt: skip
    """A failed test says which chip it had, what the core did last, and how to have the same again."""
    report = yield
    bench = item.stash.get(BENCH, None)
    if bench is not None and report.failed and report.when == "call":
        seeds = bench.seeds
        command = ["python", "-m", "pytest", item.nodeid, *(f"--tsu-{name}-seed={seed}" for name, seed in seeds.items())]
        lines = [*bench.described(), f"repeat with: {shlex.join(command)}"]
        recording = bench.recording(_recordings(item.config), item.nodeid)
        lines += [f"or replay what its chip did: {shlex.join(['tsu-emu', 'replay', str(recording)])}"] if recording else []
        report.sections.append(("tsu chip", "\n".join(lines)))
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Writes and sums up coverage."""
    to = config.getoption("tsu_coverage")
    if to is None or not config.stash[COVERAGE]:
        return
    to.write_text("".join(coverage.lcov() for coverage in config.stash[COVERAGE].values()), encoding="utf-8")
    terminalreporter.section("coverage of firmware")
    for coverage in config.stash[COVERAGE].values():
        terminalreporter.write_line(coverage.summary())
    terminalreporter.write_line(f"written to {to}")
