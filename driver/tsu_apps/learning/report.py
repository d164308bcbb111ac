"""A page that shows a run of training while it lasts, and what came of it afterwards.

>>> with Report("report", Diagnostics(model.layout, X, distance=6), shape=(8, 8)) as report:
...     model.fit(X, y, watch=[report])
...     report.rows.append(Row.at_least("accuracy", model.score(X_test, y_test), 0.9))
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tsu_apps.learning import figures, panels
from tsu_apps.learning.diagnostics import Diagnostics
from tsu_apps.learning.flags import Flag, describe
from tsu_apps.learning.history import Snapshot
from tsu_apps.page import STYLE, png, replace, row_table
from tsu_apps.report import Row, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REFRESH_S = 5.0
"""Seconds from one writing of the page to the next, at least."""
SHARE = 0.2
"""Greatest fraction of the time that may go into writing the page."""

QUANTITIES = (
    ("moment.temperature", "temperature", ""),
    ("moment.energy_data", "energy, data role", "kT"),
    ("moment.energy_free", "energy, free role", "kT"),
    ("moment.saturation", "couplings at an end of their range", ""),
    ("moment.bias_saturation", "biases at an end of their range", ""),
    ("averages.mixing", "mixing of the free planes", ""),
    ("averages.signal_to_noise", "signal-to-noise of the averages", ""),
    ("averages.noise_field", "noise field", "T"),
    ("forces.net", "net change of a coupling", "kT/tick"),
    ("forces.surviving_pairs", "pairs that survive (Eq. 6)", ""),
    ("forces.deepened", "targets that are deepened", ""),
    ("basins.attractors", "distinct attractors", ""),
    ("basins.true", "true attractors", ""),
    ("basins.spurious", "spurious attractors", ""),
    ("basins.coverage", "targets with a free plane", ""),
    ("basins.kept", "targets in basins of their own", ""),
    ("nats.pseudo", "pseudo-likelihood of the data planes", "nat"),
    ("nats.mean", "log-likelihood of the examples (AIS)", "nat"),
    ("nats.effective_samples", "its effective samples", ""),
    ("sparsity.zeros", "couplings within one LSB of 0", ""),
    ("sparsity.kurtosis", "excess kurtosis of the couplings", ""),
    ("sparsity.participation", "participation ratio of the couplings", ""),
)
"""Fields of a `Reading`, what they are, their units."""

Draw = Callable[[], "Figure"]


class Report:
    """A watcher that takes diagnostics and writes index.html with PNG figures into a folder, again and again while training runs.

    The page has no scripts; it loads itself anew while the run lasts. Files are replaced as a whole, so that a reader never sees
    half of one. At the end of the `with` block it writes the final page and result.json, also if the block was left by an error.

    diagnostics : called with every snapshot, so that it need not watch by itself
    rows : results to be added by whoever trains; they come into the page and result.json
    """

    def __init__(
        self,
        folder: str | Path,
        diagnostics: Diagnostics,
        *,
        title: str = "Training",
        shape: tuple[int, int] | None = None,
        config: Mapping[str, Any] | None = None,
        seeds: Mapping[str, int] | None = None,
    ) -> None:
        """ValueError if the shape is not that of the pixels.

        folder : is made if need be
        shape : rows and columns of the pixels, for images; None for none
        config, seeds : what was run, for the page and result.json
        """
        pixels = len(diagnostics.layout.visible)
        if shape is not None and shape[0] * shape[1] != pixels:
            raise ValueError(f"shape = {shape} has {shape[0] * shape[1]} pixels; {pixels} cells hold pixels")
        self.rows: list[Row] = []
        self._folder, self._diagnostics, self._title, self._shape = Path(folder), diagnostics, title, shape
        self._config, self._seeds = dict(config or {}), dict(seeds or {})
        self._begun = time.monotonic()
        self._next = self._begun
        self._drawn: list[str] = []
        self._drawn_at = 0
        self._folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        state = "finished" if error is None else f"broken off: {type(error).__name__}: {error}"
        if self._diagnostics.last is not None:
            self._draw(self._diagnostics.last)
        self._write(state, running=False)
        write_json(
            self._folder / "result.json",
            [*self.rows, *self._last_rows()],
            config=self._config | {"state": state, "flags": {flag.name: flag.reason for flag in self._diagnostics.flags}},
            seeds=self._seeds,
            packages=("scikit-learn", "matplotlib"),
        )

    def __call__(self, snapshot: Snapshot) -> None:
        """Take diagnostics; write the page if it is time."""
        self._diagnostics(snapshot)
        moment, begun = snapshot.moment, time.monotonic()
        if begun < self._next and moment.tick < moment.ticks:
            return
        done = moment.tick == moment.ticks
        if done or len(self._diagnostics.readings) > 1:
            self._draw(snapshot)
        self._write("trained" if done else "training", running=not done)
        ended = time.monotonic()
        self._next = ended + max(REFRESH_S, (ended - begun) / SHARE)

    def _draw(self, last: Snapshot) -> None:
        """Write the figures, if that has not been done since this look."""
        if self._drawn_at == last.moment.tick:
            return
        self._drawn_at, self._drawn = last.moment.tick, []
        for name, draw in self._figures(last).items():
            replace(self._folder / f"{name}.png", png(draw()))
            self._drawn.append(name)

    def _write(self, state: str, *, running: bool) -> None:
        replace(self._folder / "index.html", self._page(state, running).encode())

    def _figures(self, last: Snapshot) -> dict[str, Draw]:
        """How each figure that there is something for is drawn, by file name."""
        d, shape, free = self._diagnostics, self._shape, last.seen.free_spins
        found: dict[str, Draw] = {
            "learning": partial(figures.learning_curves, [reading.moment for reading in d.readings], "Learning curves"),
            "landscape": partial(panels.landscape, d),
            "balance": partial(panels.balance, d.readings),
        }
        if len({reading.moment.temperature for reading in d.readings}) > 1:
            found["curriculum"] = partial(panels.curriculum, d.readings)
        if d.modes is not None:
            found["modes"] = partial(panels.learnt_modes, d, shape)
        if shape is not None and free is not None:
            title = f"Samples: the free planes at tick {last.moment.tick:,}"
            found["samples"] = partial(panels.samples, free[:, d.layout.visible], shape, title)
        hidden = np.setdiff1d(np.arange(d.layout.cells), d.layout.clamped)
        if shape is not None and len(hidden):
            weights = figures.hidden_weights(last.weights, last.pairs, d.layout.visible, hidden)
            title = f"Receptive fields: couplings of {len(hidden)} hidden cells to the pixels"
            found["weights"] = partial(figures.receptive_fields, weights, shape, title)
        return found

    def _page(self, state: str, running: bool) -> str:
        refresh = f'<meta http-equiv="refresh" content="{REFRESH_S:.0f}">' if running else ""
        facts = [f"{key} {value}" for key, value in self._config.items()]
        facts += [f"{key} seed {value}" for key, value in self._seeds.items()]
        images = "".join(f'<img src="{name}.png?tick={self._drawn_at}" alt="{name}">' for name in self._drawn)
        parts = [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta name="viewport" content="width=device-width, initial-scale=1">{refresh}',
            f"<title>{escape(self._title)}</title><style>{STYLE}</style></head><body><h1>{escape(self._title)}</h1>",
            f'<p class="facts">{escape("; ".join(facts))}</p><p class="state">{escape(self._state(state))}</p>',
            "<h2>Flags</h2>",
            _flag_table(self._diagnostics.flags, self._diagnostics.readings[-1].tick if self._diagnostics.readings else 0),
            '<div class="columns">',
            row_table("Results", self.rows),
            row_table("At the last look", self._last_rows()),
            f"</div>{images}<h2>What the flags mean</h2><dl>",
            *(f"<dt>{escape(name)}</dt><dd>{escape(text.replace('`', ''))}</dd>" for name, text in describe().items()),
            "</dl></body></html>\n",
        ]
        return "\n".join(parts)

    def _state(self, state: str) -> str:
        last = self._diagnostics.last
        if last is None:
            return f"{state}; no look was taken"
        m = last.moment
        return f"{state}: tick {m.tick:,} of {m.ticks:,}, {time.monotonic() - self._begun:.0f} s"

    def _last_rows(self) -> list[Row]:
        """The last reading that knows each quantity."""
        rows = []
        for name, what, unit in QUANTITIES:
            known = [v for v in map(attrgetter(name), self._diagnostics.readings) if not np.isnan(v)]
            if known:
                rows.append(Row(what, float(known[-1]), unit))
        return rows


def _flag_table(flags: tuple[Flag, ...], tick: int) -> str:
    if not flags:
        return '<p class="good">No flag has been up.</p>'
    ticks = '<th class="n">first tick</th><th class="n">last tick</th>'
    lines = [f"<table><thead><tr><th>flag</th><th>reason</th>{ticks}</tr></thead><tbody>"]
    for flag in flags:
        last = f'<span class="bad">{flag.last:,}, up</span>' if flag.last == tick else f"{flag.last:,}"
        name = f'<td class="bad">{escape(flag.name)}</td>'
        ticks = f'<td class="n">{flag.first:,}</td><td class="n">{last}</td>'
        lines.append(f"<tr>{name}<td>{escape(flag.reason)}</td>{ticks}</tr>")
    return "".join(lines) + "</tbody></table>"
