"""What one fault does to the chip's own firmware while it carries out commands: 100 faults of each of ten kinds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import tsu_testing
from tsu_apps.study import Axis, Point, Study
from tsu_emu.config import shipped
from tsu_testing.campaign import Campaign
from tsu_testing.commanded import IMAGE, Commands
from tsu_testing.faults import KINDS
from tsu_testing.outcomes import QUANTITIES, draw, judge

CAMPAIGN = Campaign(Commands())
UNUSED = ("dead-adc",)
"""Kinds that strike what this firmware has nothing to do with."""
SOURCES = [Path(tsu_testing.__path__[0]) / f"{name}.py" for name in ("campaign", "commanded", "faults", "host", "replay")]


def measure(point: Point, die_seed: int) -> Mapping[str, float]:
    """One fault."""
    return CAMPAIGN.measure(str(point["kind"]), die_seed)


STUDY = Study(
    "commands",
    "Outcomes of faults in the chip's own firmware",
    measure,
    QUANTITIES,
    [Axis("kind", tuple(kind for kind in KINDS if kind not in UNUSED), "", "kind of fault")],
    dies=100,
    files=[IMAGE, shipped()["ideal-16"], *SOURCES],
    judge=judge,
    draw=draw,
)
