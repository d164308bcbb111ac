"""What the pages of results share: their style, tables of rows, figures, and files that are replaced as a whole."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from tsu_apps.report import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 100
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; max-width: 72em; margin: 2em auto; padding: 0 1.2em }
h1 { font-size: 1.6em; margin-bottom: .1em } h2 { font-size: 1.15em; margin: 2.2em 0 .4em }
.facts, .note { color: #555; max-width: 60em } .state { font-weight: 600 }
table { border-collapse: collapse; margin: .6em 0; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .2em 1.2em .2em 0; border-bottom: 1px solid #e4e4e4; vertical-align: top }
th { font-weight: 600; border-bottom: 1px solid #999 } td.n, th.n { text-align: right; white-space: nowrap }
.good { color: #2c6e3f } .bad { color: #b3261e; font-weight: 600 }
img { max-width: 100%; height: auto; display: block; margin: .6em 0 } dt { font-weight: 600 } dd { margin: 0 0 .5em 1.2em }
.columns { display: flex; flex-wrap: wrap; gap: 0 3.5em }
"""


def row_table(title: str, rows: Iterable[Row]) -> str:
    """Rows under a heading, with their goals; nothing if there are none."""
    lines = []
    for row in rows:
        goal = "" if row.goal is None else f'<span class="{"good" if row.ok else "bad"}">goal {escape(row.goal)}</span>'
        spread = "" if row.spread is None else f" ± {row.spread:.2g}"
        value = f"{row.value:,.4g}{spread} {escape(row.unit)}"
        lines.append(f'<tr><td>{escape(row.name)}</td><td class="n">{value}</td><td>{goal}</td></tr>')
    return f"<div><h2>{title}</h2><table><tbody>{''.join(lines)}</tbody></table></div>" if lines else ""


def png(figure: Figure) -> bytes:
    """A figure as the content of a PNG file."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI)
    return content.getvalue()


def inline(content: bytes, name: str) -> str:
    """A PNG within a page."""
    return f'<img src="data:image/png;base64,{base64.b64encode(content).decode()}" alt="{escape(name)}">'


def replace(path: Path, content: bytes) -> None:
    """Write a file as a whole, so that a reader never sees half of one."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(content)
    os.replace(temporary, path)
