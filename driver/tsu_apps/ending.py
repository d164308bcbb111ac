"""How a program ends: by its own exit code, or in a line if it is interrupted or asked what cannot be done."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tsu_driver.errors import LinkTimeout, TsuError

IMPOSSIBLE, INTERRUPTED = 2, 130


def ended(program: str, work: Callable[[], int], also: tuple[type[Exception], ...] = (), interrupted: str = "interrupted") -> int:
    """The exit code of `work`.

    2, and a line on stderr that `program` begins, if the chip, the way there, what the host asked for, or a file is wrong, or
    something of the types `also`; 130, and a line, if it is interrupted. A reader of its output that goes away ends it without a
    word.
    """
    wrong: tuple[type[Exception], ...] = (TsuError, *also)
    try:
        return work()
    except KeyboardInterrupt:
        return _said(program, interrupted, INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return IMPOSSIBLE
    except OSError as error:
        return _said(program, f"{error.filename}: {error.strerror}" if error.filename else str(error), IMPOSSIBLE)
    except wrong as error:
        return _said(program, str(error), IMPOSSIBLE)


@contextmanager
def afterwards(action: Callable[[], object]) -> Iterator[None]:
    """Does something to a chip at the end, however it comes; but a chip that did not answer in time is not asked again."""
    try:
        yield
    except LinkTimeout:
        raise
    except BaseException:
        action()
        raise
    action()


def _said(program: str, what: str, code: int) -> int:
    print(f"{program}: {what}", file=sys.stderr)
    return code
