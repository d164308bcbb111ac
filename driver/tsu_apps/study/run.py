"""A study from its definition to its results: what the store lacks is measured, and kept as it comes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tsu_apps.report import Row
from tsu_apps.study.definition import Study
from tsu_apps.study.fleet import Fleet
from tsu_apps.study.progress import bar
from tsu_apps.study.results import dataset
from tsu_apps.study.store import Store
from tsu_apps.study.task import Task, work_of

if TYPE_CHECKING:
    import xarray as xr

OVERHEAD = 0.05
"""Share of the workers' time that may go elsewhere than into measuring."""
JUDGED_S = 20.0
"""Seconds from which on that share says something: in a shorter run most of it is waiting for the last cell."""


@dataclass(frozen=True)
class Results:
    """What came of a study.

    data : as `results.dataset`; failures : by cell in words, a traceback or what killed its workers
    found, new : cells that the store had, that were measured now
    seconds, busy : of all workers, together and in measuring
    """

    data: xr.Dataset
    failures: dict[str, str]
    found: int
    new: int
    seconds: float
    busy: float

    @property
    def result_hash(self) -> str:
        """Hash of what was measured, the same however it was run."""
        return str(self.data.attrs["result_hash"])

    def rows(self) -> list[Row]:
        """About the run: cells, failures, the engine's overhead."""
        rows = [
            Row("cells in the store", self.found),
            Row("cells measured now", self.new),
            Row.at_most("cells that failed", len(self.failures), 0),
        ]
        if self.seconds:
            share, name = 1.0 - self.busy / self.seconds, "share of the workers' time that is not measuring"
            rows.append(Row.at_most(name, share, OVERHEAD) if self.seconds >= JUDGED_S else Row(name, share))
        if self.new:
            rows.append(Row("worker time of a cell", self.seconds / self.new, "s"))
        return rows


def run(study: Study, fleet: Fleet, store: Path, *, fresh: bool = False, command: str = "") -> Results:
    """Measure what of the study is not in the store, and put it all together.

    store : directory of finished batches, of any number of studies; fresh : forget what it has of this one
    command : for the results' provenance
    EngineLost: the workers are gone; a further run goes on from there. BlockingIOError: another run of this study is under way.
    """
    with Store(store, study) as kept:
        if fresh:
            kept.forget()
        outcomes, cells = kept.load(), list(study.cells())
        missing = [cell for cell in cells if cell not in outcomes]
        with bar(study.name, len(cells), len(cells) - len(missing)) as advance:
            for batch in fleet.map(Task.of(study), work_of(study, missing)):
                kept.save(batch)
                outcomes |= {outcome.cell: outcome for outcome in batch}
                advance(len(batch))
    failures = {study.describe(cell): outcomes[cell].failure for cell in cells if outcomes[cell].failure}
    data = dataset(study, outcomes, command)
    return Results(data, failures, len(cells) - len(missing), len(missing), fleet.seconds, fleet.busy)
