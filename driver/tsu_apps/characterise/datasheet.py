"""The datasheet: one HTML file with a table of all quantities and a figure of each procedure, and the same as rows."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from tsu_apps.characterise.measurement import Measurement, Outcome
from tsu_apps.characterise.procedure import Procedure
from tsu_apps.characterise.run import PROCEDURES, Characterisation
from tsu_apps.report import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Truth = Mapping[str, ArrayLike]
"""Configured figures by key, numbers or lists."""

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; max-width: 62em; margin: 2em auto; padding: 0 1.2em }
h1 { font-size: 1.6em; margin-bottom: .1em } h2 { font-size: 1.15em; margin: 2.2em 0 .2em }
p { margin: .3em 0 .8em; max-width: 52em } .facts, .note, .about { color: #555 }
table { border-collapse: collapse; width: 100%; margin: 1em 0; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .28em .7em .28em 0; border-bottom: 1px solid #e4e4e4; vertical-align: top }
th { font-weight: 600; border-bottom: 1px solid #999 } td.n, th.n { text-align: right; white-space: nowrap }
tr.group td { padding-top: 1em; font-weight: 600; border-bottom: 1px solid #bbb }
.good { color: #2c6e3f } .bad { color: #b3261e; font-weight: 600 }
svg { max-width: 100%; height: auto; display: block }
@media print { h2, svg { break-inside: avoid; break-after: avoid } }
"""


def known(measurement: Measurement, truth: Truth) -> np.ndarray | None:
    """The configured figure of a measurement, or None if there is none of its shape."""
    if measurement.key not in truth:
        return None
    value = np.asarray(truth[measurement.key], np.float64)
    return value if value.shape in ((), measurement.value.shape) else None


def rows(result: Characterisation, truth: Truth, name: Callable[[Measurement], str] = lambda m: m.key) -> list[Row]:
    """One row for each measurement; of a curve the largest magnitude. What is configured makes its goal."""
    out = []
    for measurement in (m for outcome in result.outcomes.values() for m in outcome.measurements):
        value = known(measurement, truth)
        goal = None if value is None else f"{_largest(value):.4g} ± {measurement.tolerance:.2g}"
        ok = None if value is None else measurement.agrees(value)
        out.append(Row(name(measurement), measurement.number, measurement.unit, measurement.number_error, goal, ok))
    return out


def page(result: Characterisation, facts: Mapping[str, str], truth: Truth) -> str:
    """The datasheet as HTML, figures inside.

    facts : about the chip and the laboratory, by name
    """
    title = f"{result.name}: characterisation"
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>",
        f'<p class="facts">{escape("; ".join(f"{key} {value}" for key, value in facts.items()))}.</p>',
        _table(result, truth),
        *(_section(name, outcome) for name, outcome in result.outcomes.items()),
        _skipped(result),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _table(result: Characterisation, truth: Truth) -> str:
    told = any(known(m, truth) is not None for outcome in result.outcomes.values() for m in outcome.measurements)
    heads = ["quantity", "measured", "± (1 σ)", "unit", *(["configured", "accepted ±", "verdict"] if told else ["accepted ±"])]
    lines = ["<table><thead><tr>", *(f"<th{_right(h)}>{h}</th>" for h in heads), "</tr></thead><tbody>"]
    for name, outcome in result.outcomes.items():
        if outcome.measurements:
            lines.append(f'<tr class="group"><td colspan="{len(heads)}">{escape(_procedure(name).title)}</td></tr>')
        lines += [_line(m, truth, told) for m in outcome.measurements]
    lines.append("</tbody></table>")
    if any(m.value.ndim for outcome in result.outcomes.values() for m in outcome.measurements):
        lines.append('<p class="note">Of a curve, the largest magnitude; a verdict is on all of it.</p>')
    return "".join(lines)


def _line(measurement: Measurement, truth: Truth, told: bool) -> str:
    value, (scale, unit) = known(measurement, truth), _unit(measurement)
    error = scale * measurement.number_error
    cells = [
        (escape(measurement.quantity), False),
        (_number(scale * measurement.number, error), True),
        (f"{error:.2g}", True),
        (escape(unit), False),
    ]
    if told:
        cells.append(("" if value is None else _number(scale * _largest(value), error), True))
    cells.append((f"{scale * measurement.tolerance:.2g}", True))
    if told:
        good = value is not None and measurement.agrees(value)
        off = "" if value is None else f"off by {scale * measurement.deviation(value):.2g}"
        word = (
            "" if value is None else f'<span class="{"good" if good else "bad"}">{"agrees" if good else "differs"}</span>, {off}'
        )
        cells.append((word, False))
    return "<tr>" + "".join(f"<td{' class=n' if number else ''}>{text}</td>" for text, number in cells) + "</tr>"


def _unit(measurement: Measurement) -> tuple[float, str]:
    """Factor and unit in which a number is shown: times with a prefix."""
    if measurement.unit != "s" or not 0 < abs(measurement.number) < 1:
        return 1.0, measurement.unit
    power = min(3, math.ceil(-math.log10(abs(measurement.number)) / 3))
    return 1000.0**power, ("s", "ms", "µs", "ns")[power]


def _section(name: str, outcome: Outcome) -> str:
    procedure = _procedure(name)
    notes = f'<p class="note">{escape(outcome.notes)}</p>' if outcome.notes else ""
    figure = svg(outcome.draw(), name) if outcome.draw is not None else ""
    return f'<h2 id="{name}">{escape(procedure.title)}</h2><p class="about">{escape(procedure.about)}</p>{notes}{figure}'


def _skipped(result: Characterisation) -> str:
    if not result.skipped:
        return ""
    lines = "".join(f"<li>{escape(_procedure(name).title)}: {escape(why)}</li>" for name, why in result.skipped.items())
    return f"<h2>Not measured</h2><ul>{lines}</ul>"


def svg(figure: Figure, name: str) -> str:
    """A figure as an SVG element whose ids begin with the name, so that several fit into one page."""
    import matplotlib

    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    for mark in ('id="', 'href="#', "url(#"):
        text = text.replace(mark, f"{mark}{name}.")
    return text[text.index("<svg") :]


def _procedure(name: str) -> Procedure:
    return next(p for p in PROCEDURES if p.name == name)


def _largest(value: np.ndarray) -> float:
    return float(value if value.ndim == 0 else np.max(np.abs(value), initial=0.0))


def _number(value: float, error: float) -> str:
    """With as many digits as the error warrants, and one more."""
    digits = (
        4 if not (error > 0 and value) else int(np.clip(np.floor(np.log10(abs(value))) - np.floor(np.log10(error)) + 2, 2, 7))
    )
    return f"{value:.{digits}g}"


def _right(head: str) -> str:
    return "" if head in ("quantity", "unit", "verdict") else ' class="n"'
