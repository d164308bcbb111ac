"""The figure of measurements that have many elements: each element with its error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tsu_apps.characterise.figures import label, panels, with_errors
from tsu_apps.characterise.measurement import Measurement, Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def shown(measurements: Sequence[Measurement], notes: str = "") -> Outcome:
    """An outcome whose figure shows what of it are curves, if anything."""
    curves = [m for m in measurements if m.value.size > 1]
    return Outcome(list(measurements), (lambda: points(curves)) if curves else None, notes)


def points(curves: Sequence[Measurement]) -> Figure:
    """A panel for each measurement."""
    figure, axes = panels(len(curves), 1, 2.5)
    for axis, m in zip(axes, curves, strict=True):
        along = m.x is not None and m.x.size == m.value.size
        x = m.x if along and m.x is not None else np.arange(m.value.size)
        with_errors(axis, x, m.value.ravel(), m.error.ravel(), "")
        label(axis, m.quantity, m.x_label if along and m.x_label else "element", m.unit)
    return figure
