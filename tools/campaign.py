"""A campaign of faults in a firmware: docs/firmware-testing.md.

    tools/run campaign [FILE] [--dies N]                 N faults of each kind; the list of those that were silent or hung
    tools/run campaign [FILE] --repeat KIND SEED         one of them again, with what the core did
    tools/run campaign [FILE] --coverage FILE            coverage of the run without faults, as a tracefile of lcov

FILE is a study with a `CAMPAIGN` beside its `STUDY`, by default tools/study/defended.py.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from tsu_apps.ending import ended
from tsu_apps.report import Row, write_json
from tsu_apps.study import Study, load
from tsu_apps.study.__main__ import NoStudy, attempt, conduct, parser, study_of
from tsu_emu.chip import Chip
from tsu_testing.campaign import OUTCOMES, Campaign
from tsu_testing.coverage import Coverage
from tsu_testing.divergence import repeat
from tsu_testing.faults import KINDS, Impossible
from tsu_testing.host import Host
from tsu_testing.tracing import Tracer

FILE = Path(__file__).resolve().parent / "study" / "defended.py"
LISTED = ("silent", "hang")


def campaign_of(study: Study) -> Campaign:
    """The campaign of a study's file; NoStudy if it has none."""
    found = getattr(sys.modules[study.measure.__module__], "CAMPAIGN", None)
    if not isinstance(found, Campaign):
        raise NoStudy(f"{study.source} has no CAMPAIGN")
    return found


def listed(study: Study, folder: Path) -> None:
    """Prints the faults that nobody noticed, with what repeats them, and writes all of them into a folder as JSON."""
    data = load(folder / f"{study.name}.nc")
    rows = []
    for kind in data["kind"].to_numpy().tolist():
        of = data.sel(kind=kind)
        for seed, outcome, cycle in zip(of["die_seed"].to_numpy(), of["outcome"].to_numpy(), of["cycle"].to_numpy(), strict=True):
            name = OUTCOMES[int(outcome)] if outcome == outcome else "unclassified"
            rows.append(Row(f"{kind} {int(seed)} {name}", float(cycle), "cycles"))
            if name in LISTED:
                print(f"  {name:<7} cycle {int(cycle):>8}  --repeat {kind} {int(seed)}")
    write_json(folder / "faults.json", rows, config={"study": study.name}, seeds={"study": study.seed})


def repeated(study: Study, kind: str, seed: int) -> int:
    """One fault again."""
    print("\n".join(repeat(campaign_of(study), kind, seed)[1]))
    return 0


def covered(study: Study, to: Path) -> int:
    """Coverage of the scenario without faults."""
    campaign = campaign_of(study)
    chip = Chip(campaign.scenario.config)
    with Tracer(chip) as tracer:
        campaign.scenario.play(Host(chip))
    coverage = Coverage(Path(campaign.scenario.config.cpu.image))
    assert chip.core is not None
    coverage.add(tracer, chip.core)
    to.write_text(coverage.lcov())
    print(coverage.summary())
    return 0


def run(given: Namespace) -> int:
    """What the command line asks for; NoStudy if a campaign cannot be had of it."""
    study = study_of(given.study)
    try:
        if given.repeat:
            return repeated(study, given.repeat[0], int(given.repeat[1]))
        if given.coverage:
            return covered(study, given.coverage)
        _ = campaign_of(study).golden
    except Impossible as error:
        raise NoStudy(f"{study.source}: {error}") from None
    code = conduct(study, given)
    listed(study, given.out / study.name)
    return code


def main() -> int:
    """Exit codes are those of `tsu_apps.study`."""
    sys.path.append(str(FILE.parents[1]))
    parsed = parser("tools/run campaign", __doc__ or "")
    parsed.add_argument("study", nargs="?", default=str(FILE), metavar="FILE", help="a Python file with a STUDY and a CAMPAIGN")
    instead = parsed.add_mutually_exclusive_group()
    instead.add_argument("--repeat", nargs=2, metavar=("KIND", "SEED"), help="run one fault again")
    instead.add_argument("--coverage", type=Path, metavar="FILE", help="write coverage here")
    given = parsed.parse_args()
    if given.repeat and given.repeat[0] not in KINDS:
        parsed.error(f"--repeat: {given.repeat[0]} is no kind of fault; there are {', '.join(KINDS)}")
    if given.repeat and not (given.repeat[1].isascii() and given.repeat[1].isdecimal()):
        parsed.error(f"--repeat: {given.repeat[1]} is no seed, a number of 0 or more")
    return attempt(parsed.prog, lambda: run(given))


if __name__ == "__main__":
    sys.exit(ended("tools/run campaign", main))
