"""How programs end."""

from __future__ import annotations

import errno
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

import tsu_driver as tsu
from server.process import environment
from tsu_apps.ending import afterwards, ended
from tsu_driver.errors import LinkTimeout

DEMO = Path(__file__).parents[2] / "tools" / "demo.py"


def raised(error: BaseException) -> int:
    raise error


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (tsu.HostError("no such coupler"), 2, "x: no such coupler\n"),
        (tsu.LinkError("nobody there"), 2, "x: nobody there\n"),
        (OSError(errno.ENOENT, "No such file or directory", "/no/file"), 2, "x: /no/file: No such file or directory\n"),
        (KeyboardInterrupt(), 130, "x: interrupted\n"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended("x", lambda: raised(error)) == code
    assert capsys.readouterr().err == said


def test_more_can_be_said_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("x", lambda: raised(ValueError("no")), (ValueError,)) == 2
    assert ended("x", lambda: raised(KeyboardInterrupt()), interrupted="all is kept") == 130
    assert capsys.readouterr().err == "x: no\nx: all is kept\n"


def test_own_exit_codes_and_faults_of_the_program_stay() -> None:
    assert ended("x", lambda: 1) == 1
    with pytest.raises(ZeroDivisionError):
        ended("x", lambda: 1 // 0)


def test_closed_pipe_is_an_end_without_a_word() -> None:
    source = "import sys; from tsu_apps.ending import afterwards, ended; sys.exit(ended('x', lambda: print('y' * 999999) or 0))"
    run = subprocess.Popen(
        [sys.executable, "-c", source], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    assert run.stdout is not None
    run.stdout.close()
    assert run.stderr is not None
    assert run.stderr.read() == ""
    run.stderr.close()
    assert run.wait() == 2


def test_demo_says_what_it_cannot_do(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, str(DEMO), "--out", "/proc/none"],
        capture_output=True,
        text=True,
        env=environment(),
        cwd=tmp_path,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr == "tools/run demo: /proc/none: No such file or directory\n"


def test_help_loads_no_statistics() -> None:
    """The programs' `--help` and refusals come in half a second only as long as these stay out."""
    heavy = ("scipy.stats", "scipy.optimize", "scipy.sparse", "sklearn", "xarray", "matplotlib")
    programs = ", ".join(f"tsu_apps.{name}.__main__" for name in ("calibrate", "characterise", "production", "twin"))
    code = f"import sys, {programs}; print([m for m in {heavy!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment(), check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(("wrong", "times"), [(None, 1), (KeyboardInterrupt(), 1), (LinkTimeout("no reply"), 0)])
def test_what_is_done_afterwards_is_not_asked_of_a_chip_that_is_silent(wrong: BaseException | None, times: int) -> None:
    done: list[int] = []
    with suppress(KeyboardInterrupt, LinkTimeout), afterwards(lambda: done.append(1)):
        if wrong is not None:
            raise wrong
    assert len(done) == times
