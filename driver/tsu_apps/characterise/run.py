"""Runs procedures one after the other, and keeps what they gave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from tsu_apps.characterise import converters, dynamics, sampling, slow
from tsu_apps.characterise.lab import Lab
from tsu_apps.characterise.measurement import Measurement, Outcome
from tsu_apps.characterise.procedure import Procedure
from tsu_driver import Chip
from tsu_driver.instruments import Instruments

PROCEDURES: tuple[Procedure, ...] = (*converters.PROCEDURES, *sampling.PROCEDURES, *dynamics.PROCEDURES, *slow.PROCEDURES)
"""All of them, in the order in which they are run."""


@dataclass
class Characterisation:
    """What a chip was found to be.

    name, kind : of the chip; outcomes : by procedure, in order; skipped : why the others were not run, by name
    seconds : chip time that it took
    """

    name: str
    kind: str
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def characterise(
    chip: Chip, instruments: Instruments | None = None, *, only: Sequence[str] = (), effort: float = 1.0,
    progress: Callable[[str, float], None] = lambda name, share: None,
) -> Characterisation:  # fmt: skip
    """Run the procedures that suit the chip and the laboratory.

    only : names of the procedures to run, all if empty; effort : share of the full sample sizes
    progress : called with a procedure's name and the share of its work that has been done since the last call
    ValueError names a procedure that does not exist.
    """
    unknown = set(only) - {p.name for p in PROCEDURES}
    if unknown:
        raise ValueError(f"no procedure {', '.join(sorted(unknown))}; there are {', '.join(p.name for p in PROCEDURES)}")
    result, begin = Characterisation(chip.name, chip.kind), chip.seconds
    known: dict[str, Measurement] = {}
    for procedure in PROCEDURES:
        if only and procedure.name not in only:
            continue
        lab = Lab(chip, instruments, effort, partial(progress, procedure.name), known)
        missing = procedure.lacks(lab)
        if missing:
            result.skipped[procedure.name] = missing
            continue
        lab.quiet()
        result.outcomes[procedure.name] = outcome = procedure.run(lab)
        known.update((m.key, m) for m in outcome.measurements)
    result.seconds = chip.seconds - begin
    return result
