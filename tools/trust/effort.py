"""How much a figure of trust is measured with.

A module of this directory measures one figure: `def measure(effort: Effort) -> list[Row]`. Each row that is missed carries, in
its name, what repeats it: `effort.again(...)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """How long, from which seed, and who is told how far it is.

    long : the full size that is promised; otherwise a small one of the same kind, seconds to a minute
    seed : of everything random; the same seed and size do the same again
    progress : called with the share that is done, 0 to 1
    """

    long: bool
    seed: int
    progress: Callable[[float], None] = lambda share: None

    def size(self, small: int, full: int) -> int:
        """How many: the full number when long, else the small one."""
        return full if self.long else small

    def again(self, figure: str, **options: int | str) -> str:
        """What a failing row says of itself: the command, and what it was about."""
        about = "".join(f", {key} {value}" for key, value in options.items())
        return f"tools/run trust --figures {figure} --seed {self.seed}{' --long' if self.long else ''}{about}"
