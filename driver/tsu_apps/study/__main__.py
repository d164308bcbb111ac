"""Run a study of a file: `python -m tsu_apps.study my_study.py`.

The file has a `Study`, and the function that it measures by; FILE:NAME tells which if it has several. What is finished is kept in
--store and found again, so a run that was broken off goes on when it is started anew.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from tsu_apps.ending import ended
from tsu_apps.job import make_way
from tsu_apps.page import png, replace
from tsu_apps.report import Row, format_rows, write_json
from tsu_apps.study.definition import Study
from tsu_apps.study.engine import EngineLost
from tsu_apps.study.figures import figures_of, rows_of
from tsu_apps.study.fleet import Fleet
from tsu_apps.study.page import page
from tsu_apps.study.results import PACKAGES, save
from tsu_apps.study.run import Results, run


class NoStudy(ValueError):
    """There is no such study."""


def study_of(text: str) -> Study:
    """The study of FILE or FILE:NAME, whose directory is added to where modules are looked for; NoStudy says what is wrong."""
    name, _, variable = text.partition(":")
    file = Path(name).resolve()
    if not file.is_file() or file.suffix != ".py":
        raise NoStudy(f"{name} is no Python file")
    sys.path.insert(0, str(file.parent))
    try:
        module = importlib.import_module(file.stem)
    except SyntaxError as error:
        raise NoStudy(f"{error.filename}:{error.lineno}: {error.msg}") from None
    if Path(module.__file__ or "").resolve() != file:
        raise NoStudy(f"{name}: there is another module {file.stem}, {module.__file__}; give the file another name")
    return _chosen(module, variable, name)


def _chosen(module: ModuleType, variable: str, file: str) -> Study:
    found = {name: value for name, value in vars(module).items() if isinstance(value, Study)}
    if not found:
        raise NoStudy(f"{file} has no Study")
    if variable not in found and (variable or len(found) > 1):
        raise NoStudy(f"{file} has the studies {', '.join(found)}; name one of them, such as {file}:{next(iter(found))}")
    return found[variable] if variable else next(iter(found.values()))


def parser(prog: str, about: str) -> argparse.ArgumentParser:
    """The command line but for what names the study."""
    parsed = argparse.ArgumentParser(prog=prog, description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parsed.add_argument("--dies", type=int, help="how many, instead of the study's own number")
    parsed.add_argument("--seed", type=int, help="of the study, instead of its own")
    parsed.add_argument("--workers", type=int, help="processes, 0 for none but this; default one for each processor")
    parsed.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler whose workers are used instead, tcp://host:port")
    parsed.add_argument("--store", type=Path, default=Path("report/studies/store"), help="finished batches; default %(default)s")
    parsed.add_argument("--fresh", action="store_true", help="measure what the store has, too")
    parsed.add_argument("--out", type=Path, default=Path("report/studies"), help="results and pages; default %(default)s")
    parsed.add_argument("--json", type=Path, metavar="FILE", help="write rows here")
    return parsed


def conduct(study: Study, arguments: argparse.Namespace) -> int:
    """Run a study as the command line says, and write what came of it; 0 if no cell failed and every goal is met."""
    return conduct_all([study], arguments)


def conduct_all(studies: Sequence[Study], arguments: argparse.Namespace) -> int:
    """Run studies one after the other; the worst of their exit codes. The JSON file has the rows of all that have ended so far.

    NoStudy: two have one name, and would write to one directory.
    """
    names = [study.name for study in studies]
    for name in names:
        if names.count(name) > 1:
            raise NoStudy(f"two studies are called {name}")
    changes = {"dies": arguments.dies, "seed": arguments.seed}
    done: list[Published] = []
    try:
        changed = [dataclasses.replace(s, **{key: value for key, value in changes.items() if value is not None}) for s in studies]
        fleet = Fleet(arguments.workers, arguments.scheduler)
    except ValueError as error:
        raise NoStudy(str(error)) from None
    make_way(arguments.json, *(arguments.out / name / "index.html" for name in names))
    for study in changed:
        results = run(study, fleet, arguments.store, fresh=arguments.fresh, command=shlex.join(sys.argv))
        done.append(publish(study, results, arguments.out / study.name))
        for cell, why in results.failures.items():
            print(f"failed: {cell}\n{why}", file=sys.stderr)
        if arguments.json is not None:
            write_rows(arguments.json, done)
    return 0 if all(each.ok for each in done) else 1


class Published(NamedTuple):
    """A study whose results are written, their rows, and whether all is well: no cell failed, and every goal is met."""

    study: Study
    rows: list[Row]
    ok: bool
    facts: dict[str, Any]


def publish(study: Study, results: Results, folder: Path) -> Published:
    """Print rows, write the dataset, figures and the page into a folder."""
    data = results.data
    rows = study.judge(data) if study.judge else rows_of(study, data)
    drawn = study.draw(data) if study.draw else figures_of(study, data)
    pictures: Mapping[str, bytes] = {name: png(figure) for name, figure in drawn.items()}
    save(data, folder / f"{study.name}.nc")
    for name, content in pictures.items():
        replace(folder / f"{name}.png", content)
    text = page(data, rows, results.rows(), pictures, results.failures)
    replace(folder / "index.html", text.encode())
    print(f"{study.name}: {study.title}\n{format_rows(rows)}\n{format_rows(results.rows())}")
    print(f"  result hash {results.result_hash}\n  written to {folder}")
    ok = not results.failures and all(row.ok is not False for row in rows)
    facts = {"study": study.name, "dies": study.dies, "fingerprint": study.fingerprint(), "hash": results.result_hash}
    return Published(study, [*rows, *results.rows()], ok, facts)


def write_rows(file: Path, done: Sequence[Published]) -> None:
    """Rows as JSON; those of several studies begin with the study's name."""
    if len(done) == 1:
        config, seeds, rows = done[0].facts, {"study": done[0].study.seed}, done[0].rows
    else:
        config = {"studies": [each.facts for each in done]}
        seeds = {each.study.name: each.study.seed for each in done}
        rows = [dataclasses.replace(row, name=f"{each.study.name}: {row.name}") for each in done for row in each.rows]
    write_json(file, rows, config=config, seeds=seeds, packages=PACKAGES)


def attempt(prog: str, action: Callable[[], int]) -> int:
    """What an action returns; 2 if there is no such study or nothing to run it on, 130 if it is interrupted; a line says why."""
    return ended(prog, action, (NoStudy, EngineLost, ImportError), "interrupted; what was finished is in the store")


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; exit codes are those of `conduct` and `attempt`."""
    parsed = parser("python -m tsu_apps.study", __doc__)
    parsed.add_argument("study", metavar="FILE", help="a Python file with a Study; FILE:NAME if it has several")
    given = parsed.parse_args(arguments)
    return attempt(parsed.prog, lambda: conduct(study_of(given.study), given))


if __name__ == "__main__":
    sys.exit(main())
