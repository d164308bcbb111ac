"""What studies share: how they get chips, what they give."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np

from tsu_apps.layers.laws import Floats
from tsu_apps.report import Row
from tsu_driver import Chip

Chips = Callable[[str], AbstractContextManager[Chip]]
"""Opens a chip by its name."""
Step = Callable[[str], None]
"""Called with what is done next."""


class Study(NamedTuple):
    """Rows of the report, and what a figure is drawn from."""

    rows: list[Row]
    data: dict[str, Any]


def draws(n: int) -> str:
    """A number of draws in words."""
    return f"{n} draw{'s' * (n != 1)}"


def rms(values: Floats) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(values))))
