"""Calibrations of chips over time, as labelled arrays: a netCDF file for each chip, to which each calibration is appended.

It needs xarray and h5netcdf: pip install 'tsu-driver[studies]'.
"""

from __future__ import annotations

import fcntl
import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import tsu_driver
from tsu_apps.calibrate.graph import Calibrator, standard
from tsu_apps.calibrate.procedure import Result
from tsu_apps.calibrate.work import Floats
from tsu_driver import Calibration
from tsu_driver.errors import HostError

if TYPE_CHECKING:
    import xarray as xr

ELEMENTS = {"offsets": "cell", "slopes": "cell", "couplers": "coupler"}
"""Procedures that have a result for each of these."""
SUMMARY = ("left", "before", "ok", "took_s", "energy_j")
EXACT = {"units": "microseconds since 1970-01-01", "dtype": "int64"}
"""How times are kept."""


def file_of(folder: Path, serial: int) -> Path:
    """The file of a chip in a directory."""
    return folder / f"{serial:016x}.nc"


def append(folder: Path, calibrator: Calibrator) -> Path:
    """Add a chip's calibration as it is now, and what its calibrator found, to the chip's file, which is made if need be.

    Returns the file. It is replaced as a whole or not at all, by one process at a time.
    HostError: it is another chip's, or damaged.
    """
    import xarray as xr

    from tsu_apps.study.results import save

    new = record(calibrator)
    path = file_of(folder, calibrator.work.calibration.serial)
    with _alone(folder):
        if path.exists():
            old = read(path)
            _check(path, old, new)
            new = xr.concat([old, new], "time", data_vars="all", join="outer", combine_attrs="override")
        new["time"].encoding = dict(EXACT)
        save(new, path)
    return path


def prepare(folder: Path, serial: int) -> None:
    """Before a chip is calibrated, see that `append` can add to its file: its errors, and ModuleNotFoundError."""
    from tsu_apps.study.results import ENGINE

    importlib.import_module(ENGINE)
    path = file_of(folder, serial)
    with _alone(folder):
        if path.exists():
            _check_serial(path, read(path), path.stem)


def read(path: Path) -> xr.Dataset:
    """All calibrations of a chip, over `time`, oldest first. HostError names a file that cannot be read."""
    from tsu_apps.study.results import load

    try:
        return load(path)
    except (OSError, ValueError, KeyError) as error:
        raise HostError(f"{path}: no history of calibrations: {error}") from None


def record(calibrator: Calibrator) -> xr.Dataset:
    """One calibration, all over a dimension `time` of length 1.

    Trims and corrections as in `Calibration`, stuck bits as masks and values of all couplers; of each procedure of `ELEMENTS`
    what is `_left` of each element, and its `_error`, NaN where it was not done or did not succeed; `SUMMARY` over `procedure`.
    Coordinates: `time`, UTC; `chip_s`, chip time since power-on of the calibration. Attributes: serial, versions.
    """
    import xarray as xr

    c, hz = calibrator.work.calibration, calibrator.work.chip.capabilities.clock_hz
    stuck = np.zeros((2, len(c.coupler_gain)), np.uint32)
    stuck[:, c.stuck[:, 0]] = c.stuck[:, 1:].T
    trimmed = "cell" if len(c.offset_trims) else "none"
    arrays: dict[str, tuple[tuple[str, ...], Any, str]] = {
        "date_cycles": ((), np.int64(c.date_cycles), "cycle"),
        "offset_trim": ((trimmed,), c.offset_trims, ""),
        "slope_trim": ((trimmed,), c.slope_trims, ""),
        "adc_trim": (("converter", "part"), c.adc_trims, ""),
        "temperature": (("part_of_t",), np.array(c.temperature), ""),
        "coupler_gain": (("coupler",), c.coupler_gain, ""),
        "coupler_offset": (("coupler",), c.coupler_offset, "kT"),
        "stuck_mask": (("coupler",), stuck[0], ""),
        "stuck_value": (("coupler",), stuck[1], ""),
        "good": (("cell",), c.good, ""),
    }
    every, lengths = standard(), {"cell": len(c.good), "coupler": len(c.coupler_gain)}
    for procedure in every:
        if procedure.name in ELEMENTS:
            dim = ELEMENTS[procedure.name]
            left, error = _elements(calibrator.results.get(procedure.name), lengths[dim])
            arrays[f"{procedure.name}_left"] = (dim,), left, procedure.unit
            arrays[f"{procedure.name}_error"] = (dim,), error, procedure.unit
    rows = np.array([_summary(calibrator.results.get(procedure.name), hz) for procedure in every])
    arrays |= {name: (("procedure",), rows[:, k], "") for k, name in enumerate(SUMMARY)}
    variables = {
        name: (("time", *dims), np.asarray(values)[None], {"units": unit or "1"}) for name, (dims, values, unit) in arrays.items()
    }
    coords: dict[str, Any] = {
        "time": [np.datetime64(datetime.now(UTC).replace(tzinfo=None), "us")],
        "chip_s": ("time", [c.date_cycles / hz], {"units": "s"}),
        "procedure": [procedure.name for procedure in every],
        "part": ["offset", "gain"],
        "part_of_t": ["gain", "offset"],
    }
    versions = json.dumps({"tsu-driver": tsu_driver.__version__})
    return xr.Dataset(variables, coords, {"title": "calibrations of a chip", "serial": f"{c.serial:016x}", "versions": versions})


def _elements(result: Result | None, n: int) -> tuple[Floats, Floats]:
    """((n,) what is left of each element, standard errors), NaN where there is no result."""
    if result is None:
        return np.full(n, np.nan), np.full(n, np.nan)
    return np.where(result.ok, result.values, np.nan), np.where(result.ok, result.errors, np.nan)


def _summary(result: Result | None, hz: float) -> list[float]:
    """`SUMMARY` of a result."""
    if result is None:
        return [np.nan] * len(SUMMARY)
    return [result.left, result.left_before, float(np.mean(result.ok)), result.cycles / hz, result.energy_j]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The directory to this process alone; it is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _check(path: Path, old: xr.Dataset, new: xr.Dataset) -> None:
    """HostError unless both are of one chip."""
    _check_serial(path, old, new.attrs["serial"])
    for dim, length in new.sizes.items():
        if dim not in ("time", "procedure") and old.sizes.get(dim) != length:
            raise HostError(f"{path} has {old.sizes.get(dim)} of dimension {dim}; this chip has {length}")


def _check_serial(path: Path, old: xr.Dataset, serial: str) -> None:
    if old.attrs.get("serial") != serial:
        raise HostError(f"{path} is the history of chip {old.attrs.get('serial')}; this one is {serial}")


def calibration_at(data: xr.Dataset, place: int = -1) -> Calibration:
    """The calibration at a place of a history, by default the last."""
    one = data.isel(time=place)
    mask, value = one["stuck_mask"].to_numpy().astype(np.uint32), one["stuck_value"].to_numpy().astype(np.uint32)
    at = np.flatnonzero(mask)
    gain, offset = one["temperature"].to_numpy().tolist()
    return Calibration(
        serial=int(data.attrs["serial"], 16), date_cycles=int(one["date_cycles"]),
        offset_trims=one["offset_trim"].to_numpy(), slope_trims=one["slope_trim"].to_numpy(),
        adc_trims=one["adc_trim"].to_numpy(), temperature=(gain, offset),
        coupler_gain=one["coupler_gain"].to_numpy(), coupler_offset=one["coupler_offset"].to_numpy(),
        stuck=np.stack([at, mask[at], value[at]], axis=1).astype(np.uint32), good=one["good"].to_numpy().astype(np.bool_),
    )  # fmt: skip
