"""The program `tsu`: what is done to a chip from a shell."""

from __future__ import annotations

import sys
from collections.abc import Sequence

USAGE = """usage: tsu JOB [ARGUMENTS]

  calibrate     find the trims and corrections that a chip needs
  characterise  measure what a chip is, write a datasheet
  test          test a chip against limits, as its maker does
  twin          measure a chip, write it as a configuration that the emulator runs

`tsu JOB --help` says more."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a job; its exit code, 2 if there is none of that name."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    job, rest = (given[0], given[1:]) if given else ("--help", [])
    match job:
        case "calibrate":
            from tsu_apps.calibrate.__main__ import main as run
        case "characterise":
            from tsu_apps.characterise.__main__ import main as run
        case "test":
            from tsu_apps.production.__main__ import main as run
        case "twin":
            from tsu_apps.twin.__main__ import main as run
        case "-h" | "--help":
            print(USAGE)
            return 0
        case _:
            print(f"tsu: no job {job!r}\n\n{USAGE}", file=sys.stderr)
            return 2
    return run(rest)


if __name__ == "__main__":
    sys.exit(main())
