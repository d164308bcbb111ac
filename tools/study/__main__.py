"""Studies over many imperfect chips.

    tools/run study NAME [--dies N] [--json FILE]     a study of this directory; --list names them
    tools/run study ./my_study.py                     one of your own: docs/studies.md

What is finished is kept in --store and found again, so a run that was broken off goes on when it is started anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tsu_apps.study.__main__ import NoStudy, conduct, parser, study_of
from tsu_apps.study.engine import EngineLost

FOLDER = Path(__file__).resolve().parent
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__main__")


def main() -> int:
    """0 if no cell failed and every goal is met; 2 if there is no such study, or nothing to run it on."""
    sys.path.append(str(FOLDER.parent))
    parsed = parser("tools/run study", __doc__ or "")
    parsed.add_argument("study", nargs="?", metavar="NAME|FILE", help=f"{', '.join(NAMES)}, or a Python file with a Study")
    parsed.add_argument("--list", action="store_true", help="names and titles, then stop")
    given = parsed.parse_args()
    try:
        if given.list:
            studies = [study_of(str(FOLDER / f"{name}.py")) for name in NAMES]
            print(
                "\n".join(
                    f"{study.name:<12} {study.dies:>5} dies, {len(study.points):>3} points  {study.title}" for study in studies
                )
            )
            return 0
        if given.study is None:
            parsed.error("name a study, or a file of one; see --list")
        name = str(FOLDER / f"{given.study}.py") if given.study in NAMES else given.study
        return conduct(study_of(name), given)
    except (NoStudy, EngineLost, BlockingIOError, ImportError) as error:
        print(f"tools/run study: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
