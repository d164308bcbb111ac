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

from tsu_apps.page import png, replace
from tsu_apps.report import format_rows, write_json
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
    module = importlib.import_module(file.stem)
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
    changes = {"dies": arguments.dies, "seed": arguments.seed}
    study = dataclasses.replace(study, **{key: value for key, value in changes.items() if value is not None})
    fleet = Fleet(arguments.workers, arguments.scheduler)
    results = run(study, fleet, arguments.store, fresh=arguments.fresh, command=shlex.join(sys.argv))
    ok = publish(study, results, arguments.out / study.name, arguments.json)
    for cell, why in results.failures.items():
        print(f"failed: {cell}\n{why}", file=sys.stderr)
    return 0 if ok else 1


def publish(study: Study, results: Results, folder: Path, json: Path | None) -> bool:
    """Print rows, write the dataset, figures and the page into a folder, rows as JSON; whether all is well:
    no cell failed, and every goal of the study is met."""
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
    if json is not None:
        config = {"study": study.name, "dies": study.dies, "fingerprint": study.fingerprint(), "hash": results.result_hash}
        seeds = {"study": study.seed}
        write_json(json, [*rows, *results.rows()], config=config, seeds=seeds, packages=PACKAGES)
    return not results.failures and all(row.ok is not False for row in rows)


def attempt(prog: str, action: Callable[[], int]) -> int:
    """What an action returns; 2 if there is no such study or nothing to run it on, 130 if it is interrupted; a line says why."""
    try:
        return action()
    except (NoStudy, EngineLost, BlockingIOError, ImportError) as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{prog}: interrupted; what was finished is in the store", file=sys.stderr)
        return 130


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; exit codes are those of `conduct` and `attempt`."""
    parsed = parser("python -m tsu_apps.study", __doc__)
    parsed.add_argument("study", metavar="FILE", help="a Python file with a Study; FILE:NAME if it has several")
    given = parsed.parse_args(arguments)
    return attempt(parsed.prog, lambda: conduct(study_of(given.study), given))


if __name__ == "__main__":
    sys.exit(main())
