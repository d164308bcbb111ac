"""What a study is: a function that measures one die at one point of a grid, the grid, the dies, and a seed for all of it."""

from __future__ import annotations

import ast
import hashlib
import inspect
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tsu_apps.report import Row

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

Value = float | int | str
Point = Mapping[str, Value]
"""A value for each axis, by the axis' name."""
Measure = Callable[[Point, int], Mapping[str, ArrayLike]]
"""measure(point, die_seed): a number or an array for each quantity, by its name."""
NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
RESERVED = ("die", "die_seed", "measured", "seconds")
"""Names that every dataset has."""


class Cell(NamedTuple):
    """One measurement of a study: the number of its point in the grid, row by row, and the number of its die."""

    point: int
    die: int


@dataclass(frozen=True)
class Axis:
    """One parameter of a grid.

    name : in points and datasets; values : numbers or words, no two alike; unit : "" for a pure number; title : for figures
    """

    name: str
    values: Sequence[Value]
    unit: str = ""
    title: str = ""

    def __post_init__(self) -> None:
        if not self.values or len(set(self.values)) < len(self.values):
            raise ValueError(f"axis {self.name}: {len(self.values)} values, of which {len(set(self.values))} differ")


@dataclass(frozen=True)
class Quantity:
    """One thing that a study measures: a number, or an array of float64 with a name and a length for each of its dimensions."""

    name: str
    unit: str = ""
    title: str = ""
    dims: Mapping[str, int] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the dimensions."""
        return tuple(self.dims.values())


@dataclass(frozen=True)
class Study:
    """A study of many dies.

    name : of its results; title : one line for people
    measure : a function of a module, of which nothing but its arguments and the study's files decides what it returns
    quantities : what it returns; axes : the grid, of which every point is measured on every die; dies : how many
    seed : of the study, from which the seed of each die follows
    files : what the results depend on beside the module of `measure`, such as configurations; a change of one makes other results
    judge : rows from the dataset; those of a study without one are means over dies
    draw : figures from the dataset by name, likewise
    ValueError: names that are not distinct or not plain words, no dies, or a `measure` that is not to be found by its name.
    """

    name: str
    title: str
    measure: Measure
    quantities: Sequence[Quantity]
    axes: Sequence[Axis] = ()
    dies: int = 20
    seed: int = 1
    files: Sequence[Path] = ()
    judge: Callable[[xr.Dataset], list[Row]] | None = None
    draw: Callable[[xr.Dataset], Mapping[str, Figure]] | None = None

    def __post_init__(self) -> None:
        names = [axis.name for axis in self.axes] + [quantity.name for quantity in self.quantities]
        dims = [name for quantity in self.quantities for name in quantity.dims]
        for name in (self.name, *names, *dims):
            if not NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name; letters a to z, digits, - and _ are expected, a letter first")
        if len(set(names)) < len(names) or not set(names).isdisjoint({*RESERVED, *dims}) or not set(dims).isdisjoint(RESERVED):
            raise ValueError(f"study {self.name}: names of axes, quantities and dimensions are to differ, also from {RESERVED}")
        if not self.quantities or self.dies < 1 or self.seed < 0:
            raise ValueError(f"study {self.name}: at least one quantity, one die and a seed of 0 or more are expected")
        files = [self.source.name, *(Path(path).name for path in self.files)] if inspect.isfunction(self.measure) else []
        if len(set(files)) < len(files):
            raise ValueError(f"study {self.name}: files of one name, {files}; they are told by their names")
        if "<" in self.measure.__qualname__ or not inspect.isfunction(self.measure):
            raise ValueError(f"study {self.name}: measure is {self.measure!r}; a function of a module is expected")

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return tuple(len(axis.values) for axis in self.axes)

    @cached_property
    def points(self) -> list[dict[str, Value]]:
        """All points of the grid; the last axis changes first."""
        names = [axis.name for axis in self.axes]
        return [dict(zip(names, values, strict=True)) for values in itertools.product(*(axis.values for axis in self.axes))]

    def cells(self) -> Iterator[Cell]:
        """All there is to measure, die by die."""
        return (Cell(point, die) for die in range(self.dies) for point in range(prod(self.shape)))

    def die_seed(self, die: int) -> int:
        """Seed of a die, of 63 bits: a function of the study's seed and the die's number alone."""
        words = np.random.SeedSequence(self.seed, spawn_key=(die,)).generate_state(1, np.uint64)
        return int(words[0]) >> 1

    def describe(self, cell: Cell) -> str:
        """A cell in words."""
        where = ", ".join(f"{name} = {value}" for name, value in self.points[cell.point].items())
        return f"{self.name}: die {cell.die}{', ' if where else ''}{where}"

    @property
    def source(self) -> Path:
        """The file of `measure`."""
        return Path(inspect.getfile(self.measure)).resolve()

    @property
    def looks(self) -> tuple[str, ...]:
        """Names of functions that do not change what is measured: `judge` and `draw`."""
        return tuple(function.__name__ for function in (self.judge, self.draw) if function is not None)

    def sources(self) -> dict[str, str]:
        """SHA-256 of the code of `measure` (`code_digest`) and of the study's files, by file name."""
        return {self.source.name: code_digest(self.source, self.looks)} | {
            path.name: digest(path) for path in map(Path, self.files)
        }

    def fingerprint(self) -> str:
        """Hexadecimal hash of all that decides the results but the number of dies: seed, grid, quantities, sources."""
        axes = [[axis.name, list(axis.values), axis.unit] for axis in self.axes]
        quantities = [[q.name, q.unit, dict(q.dims)] for q in self.quantities]
        what = [self.name, self.seed, axes, quantities, self.measure.__qualname__, self.sources()]
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]


def code_digest(path: Path, looks: Sequence[str]) -> str:
    """SHA-256 of the code of a module, in hexadecimal, without the functions named in `looks` and without a variable that is a
    `Study`, whose parts count by themselves; comments and layout do not count."""
    module = ast.parse(path.read_bytes())
    module.body = [part for part in module.body if not (_defines_study(part) or getattr(part, "name", None) in looks)]
    return hashlib.sha256(ast.dump(module).encode()).hexdigest()


def _defines_study(part: ast.stmt) -> bool:
    call = part.value if isinstance(part, ast.Assign) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == Study.__name__


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
