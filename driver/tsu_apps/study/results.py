"""Results of a study as one labelled dataset with where they come from, in one file; and their hash.

The file is netCDF 4, through h5netcdf: seeds have 63 bits, and the older format that SciPy writes has no such integers.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

import tsu_driver
from tsu_apps.report import versions
from tsu_apps.study.definition import Cell, Study
from tsu_apps.study.task import Outcome

if TYPE_CHECKING:
    import xarray as xr

ENGINE: Literal["h5netcdf"] = "h5netcdf"
PACKAGES = ("scipy", "numba", "xarray", "h5netcdf", "matplotlib")


def dataset(study: Study, outcomes: Mapping[Cell, Outcome], command: str = "") -> xr.Dataset:
    """The dataset of a study: each quantity (die, axes ..., its own dimensions), NaN where a cell failed.

    With coordinates `die` (number), `die_seed` and the axes; variables `measured` and `seconds` (die, axes ...); attributes with
    the study, its seed and fingerprint, the hash of the results, versions, hashes of sources, date and command.
    """
    import xarray as xr

    grid = ("die", *(axis.name for axis in study.axes))
    shape = (study.dies, *study.shape)
    arrays = {q.name: np.full((*shape, *q.shape), np.nan) for q in study.quantities}
    measured, seconds = np.zeros(shape, bool), np.full(shape, np.nan)
    for cell in study.cells():
        at = (cell.die, *(int(k) for k in np.unravel_index(cell.point, study.shape))) if study.shape else (cell.die,)
        outcome = outcomes[cell]
        measured[at], seconds[at] = not outcome.failure, outcome.seconds
        for name, value in outcome.values.items():
            arrays[name][at] = value
    variables: dict[str, Any] = {q.name: ((*grid, *q.dims), arrays[q.name], _labels(q.unit, q.title)) for q in study.quantities}
    variables |= {"measured": (grid, measured), "seconds": (grid, seconds, {"units": "s"})}
    seeds = np.array([study.die_seed(die) for die in range(study.dies)], np.int64)
    coords: dict[str, Any] = {"die": np.arange(study.dies), "die_seed": ("die", seeds)}
    coords |= {axis.name: (axis.name, list(axis.values), _labels(axis.unit, axis.title)) for axis in study.axes}
    result = xr.Dataset(variables, coords)
    result.attrs = _provenance(study, command) | {"result_hash": result_hash(result, study)}
    return result


def result_hash(data: xr.Dataset, study: Study) -> str:
    """SHA-256 over what was measured: seeds of the dies, values of the axes, names, shapes and values (little-endian, every NaN
    alike) of the quantities in the order of their names. Times are not in it."""
    canonical = hashlib.sha256(json.dumps([[axis.name, list(axis.values)] for axis in study.axes]).encode())
    canonical.update(data["die_seed"].to_numpy().astype("<i8").tobytes())
    for name in sorted(q.name for q in study.quantities):
        array = data[name].to_numpy().astype("<f8")
        canonical.update(json.dumps([name, array.shape]).encode())
        canonical.update(np.where(np.isnan(array), np.nan, array).astype("<f8").tobytes())
    return canonical.hexdigest()


def save(data: xr.Dataset, path: Path) -> None:
    """Write a dataset to one file, whole or not at all; its directory is made if need be. OSError names the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        data.to_netcdf(part, engine=ENGINE)
        part.replace(path)
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or 0), str(path)) from error
    finally:
        part.unlink(missing_ok=True)


def load(path: str | Path) -> xr.Dataset:
    """A dataset from its file."""
    import xarray as xr

    return xr.load_dataset(path, engine=ENGINE)


def mean_error(values: xr.DataArray, over: str = "die") -> tuple[xr.DataArray, xr.DataArray]:
    """(mean, its standard error) over a dimension, without what is NaN; the error of fewer than two values is NaN."""
    count = values.notnull().sum(over)
    squares = ((values - values.mean(over)) ** 2).sum(over) / (count - 1).where(count > 1)
    return values.mean(over), (squares / count) ** 0.5


def _labels(unit: str, title: str) -> dict[str, str]:
    return {"units": unit or "1"} | ({"long_name": title} if title else {})


def _provenance(study: Study, command: str) -> dict[str, Any]:
    """What is needed to get the results again."""
    return {
        "title": study.title,
        "study": study.name,
        "seed": study.seed,
        "fingerprint": study.fingerprint(),
        "sources": json.dumps(study.sources()),
        "versions": json.dumps({"tsu-driver": tsu_driver.__version__, **versions(*PACKAGES)}),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
    }
