"""Rows and figures of a study that has none of its own: means over dies with standard errors. Figures need matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tsu_apps.characterise.figures import COLOURS, MEASURED, SECOND, label, panels, with_errors
from tsu_apps.report import Row
from tsu_apps.study.definition import Quantity, Study
from tsu_apps.study.results import mean_error

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

BINS = 30


def rows_of(study: Study, data: xr.Dataset) -> list[Row]:
    """Mean and standard deviation over dies of each quantity that is a number, at each point."""
    rows = []
    for quantity in (q for q in study.quantities if not q.dims):
        for point in study.points:
            values = data[quantity.name].sel(dict(point)).to_numpy()
            values = values[~np.isnan(values)]
            where = "".join(f", {name} = {value}" for name, value in point.items())
            spread = float(values.std(ddof=1)) if len(values) > 1 else None
            mean = float(values.mean()) if len(values) else float("nan")
            rows.append(Row(f"{quantity.name}{where}", mean, quantity.unit, spread))
    return rows


def figures_of(study: Study, data: xr.Dataset) -> dict[str, Figure]:
    """A figure of each quantity that is a number: its distribution over dies, or its mean along the axes."""
    return {q.name: (_means if study.axes else _distribution)(study, data, q) for q in study.quantities if not q.dims}


def _named(quantity: Quantity) -> tuple[str, str]:
    """What it is, and that with its unit."""
    name = quantity.title or quantity.name
    return name, f"{name}  ({quantity.unit})" if quantity.unit else name


def _distribution(study: Study, data: xr.Dataset, quantity: Quantity) -> Figure:
    figure, (axis,) = panels()
    values = data[quantity.name]
    mean, error = (float(x) for x in mean_error(values))
    axis.hist(values.to_numpy()[values.notnull().to_numpy()], min(BINS, study.dies), color=MEASURED)
    axis.axvline(mean, color=SECOND)
    axis.axvspan(mean - error, mean + error, color=SECOND, alpha=0.3, linewidth=0)
    name, what = _named(quantity)
    label(axis, f"{name} of {study.dies} dies; their mean with its standard error", what, "dies")
    return figure


def _means(study: Study, data: xr.Dataset, quantity: Quantity) -> Figure:
    """Along the first axis, a line for each value of the second, a panel for each point of the others."""
    first, second = study.axes[0], study.axes[1] if len(study.axes) > 1 else None
    rest = [axis.name for axis in study.axes[2:]]
    mean, error = (array.stack(rest=rest) if rest else array.expand_dims(rest=[""]) for array in mean_error(data[quantity.name]))
    figure, axes = panels(mean.sizes["rest"])
    name, what = _named(quantity)
    for k, axis in enumerate(axes):
        where = ", ".join(f"{n} = {v}" for n, v in zip(rest, mean["rest"].to_numpy()[k] if rest else (), strict=True))
        _lines(axis, mean.isel(rest=k), error.isel(rest=k), first.name, second.name if second else None)
        title = f"{name}{', ' if where else ''}{where}; mean of {study.dies} dies with its standard error"
        label(axis, title, _with_unit(first.title or first.name, first.unit), what)
    return figure


def _with_unit(name: str, unit: str) -> str:
    return f"{name}  ({unit})" if unit else name


def _lines(axis: Any, mean: xr.DataArray, error: xr.DataArray, along: str, by: str | None) -> None:
    """Points with error bars, joined; words along the axis stand side by side."""
    values = mean[along].to_numpy()
    numbers = np.issubdtype(values.dtype, np.number)
    x = values if numbers else np.arange(len(values))
    if not numbers:
        axis.set_xticks(x, values)
    for k, value in enumerate(mean[by].to_numpy() if by else [""]):
        y, e = (array.sel({by: value}) if by else array for array in (mean, error))
        colour = COLOURS[k % len(COLOURS)]
        with_errors(axis, x, y.to_numpy(), e.to_numpy(), f"{by} = {value}", colour)
        axis.plot(x, y.to_numpy(), color=colour, linewidth=0.9)
    if by:
        axis.legend(frameon=False, fontsize=9)
