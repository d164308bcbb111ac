"""Studies over many imperfect chips.

    tools/run study NAME [--dies N] [--json FILE]     a study of this directory; --list names them
    tools/run study NAME NAME ...                     one after the other; all rows go into the one JSON file
    tools/run study ./my_study.py                     one of your own: docs/studies.md

What is finished is kept in --store and found again, so a run that was broken off goes on when it is started anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tsu_apps.study.__main__ import NoStudy, attempt, conduct_all, parser, study_of

FOLDER = Path(__file__).resolve().parent
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__main__")


def chosen(name: str) -> str:
    """The file of one of NAMES; any other file as it is. NoStudy: a word that is neither."""
    if name in NAMES:
        return str(FOLDER / f"{name}.py")
    if "." not in name and "/" not in name:
        raise NoStudy(f"there is no study {name!r}; there are {', '.join(NAMES)}, or name a Python file")
    return name


def listed() -> int:
    """Print what there is."""
    for study in (study_of(chosen(name)) for name in NAMES):
        print(f"{study.name:<12} {study.dies:>5} dies, {len(study.points):>3} points  {study.title}")
    return 0


def main() -> int:
    """Exit codes are those of `tsu_apps.study`."""
    sys.path.append(str(FOLDER.parent))
    parsed = parser("tools/run study", __doc__ or "")
    parsed.add_argument("study", nargs="*", metavar="NAME|FILE", help=f"{', '.join(NAMES)}, or a Python file with a Study")
    parsed.add_argument("--list", action="store_true", help="names and titles, then stop")
    given = parsed.parse_args()
    if not given.study and not given.list:
        parsed.error("name a study, or a file of one; see --list")

    def all_of_them() -> int:
        return conduct_all([study_of(chosen(name)) for name in given.study], given)

    return attempt(parsed.prog, listed if given.list else all_of_them)


if __name__ == "__main__":
    sys.exit(main())
