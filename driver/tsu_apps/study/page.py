"""The page of a study: rows, figures and where they come from, in one HTML file without anything outside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from tsu_apps.page import STYLE, inline, row_table
from tsu_apps.report import Row

if TYPE_CHECKING:
    import xarray as xr


def page(
    data: xr.Dataset, rows: Sequence[Row], about_run: Sequence[Row], pictures: Mapping[str, bytes], failures: Mapping[str, str]
) -> str:
    """HTML of a study.

    data : its dataset; rows, about_run : of its results, of its run; pictures : PNG by name; failures : by cell in words
    """
    title = escape(str(data.attrs["title"]))
    sizes = ", ".join(f"{name} {size:,}" for name, size in data.sizes.items())
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>",
        f'<p class="facts">Study {escape(str(data.attrs["study"]))}: {escape(sizes)}.</p>',
        *(inline(content, name) for name, content in pictures.items()),
        '<div class="columns">',
        row_table("Results", rows),
        row_table("The run", about_run),
        "</div>",
        _failed(failures),
        _provenance(data.attrs),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _failed(failures: Mapping[str, str]) -> str:
    if not failures:
        return ""
    lines = (f"<details><summary>{escape(cell)}</summary><pre>{escape(why)}</pre></details>" for cell, why in failures.items())
    return f'<h2 class="bad">Cells that failed</h2>{"".join(lines)}'


def _provenance(attributes: Mapping[Any, Any]) -> str:
    lines = []
    for key, value in attributes.items():
        text = escape(str(value))
        if key in ("sources", "versions"):
            text = "<br>".join(f"{escape(name)} {escape(what)}" for name, what in json.loads(value).items())
        lines.append(f"<tr><td>{escape(str(key).replace('_', ' '))}</td><td>{text}</td></tr>")
    return f"<h2>Where this comes from</h2><table><tbody>{''.join(lines)}</tbody></table>"
