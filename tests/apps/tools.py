"""The programs of tools/ as modules, and what they know of the truth about a chip in process."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from apps.bench import by_key, laboratory, run
from tsu_apps.characterise import Measurement, Procedure
from tsu_emu.config import ChipConfig

FOLDER = Path(__file__).parents[2] / "tools"


def tool(name: str) -> Any:
    """A module of tools/."""
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    return importlib.import_module(name)


def beside_the_truth(
    chip_config: ChipConfig, procedures: tuple[Procedure, ...], names: list[str], effort: float
) -> tuple[dict[str, Measurement], dict[str, Any], dict[str, dict[str, Any]]]:
    """(what the procedures measure, what is true, values that are wrong), by key."""
    found: dict[str, Measurement] = {}
    with laboratory(chip_config, effort) as (lab, oracle):
        for name in names:
            found |= by_key(run(lab, procedures, name))
        truth = tool("truth").Truth(lab.chip, oracle.truth, chip_config)
        return found, {k: truth.of(m) for k, m in found.items()}, {k: truth.wrong(m) for k, m in found.items()}
