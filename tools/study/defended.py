"""What one fault does to a firmware that defends itself: 182 faults of each of eleven kinds, at random cycles of a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import tsu_testing
from tsu_apps.study import Point, Study
from tsu_emu.config import shipped
from tsu_testing.campaign import Campaign
from tsu_testing.guarded import IMAGE, Guarded
from tsu_testing.outcomes import KIND, QUANTITIES, draw, judge

CAMPAIGN = Campaign(Guarded())
SOURCES = [Path(tsu_testing.__path__[0]) / f"{name}.py" for name in ("campaign", "faults", "guarded", "host", "replay")]


def measure(point: Point, die_seed: int) -> Mapping[str, float]:
    """One fault."""
    return CAMPAIGN.measure(str(point["kind"]), die_seed)


STUDY = Study(
    "defended",
    "Outcomes of faults in a firmware that defends itself",
    measure,
    QUANTITIES,
    [KIND],
    dies=182,
    files=[IMAGE, shipped()["ideal-16"], *SOURCES],
    judge=judge,
    draw=draw,
)
