"""Where a run with a fault leaves the one without: instruction by instruction."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_emu.cpu.state import BUS_LOAD, BUS_STORE
from tsu_testing.campaign import Campaign, Result
from tsu_testing.image import Image
from tsu_testing.tracing import ENTERED, Tracer

KEPT = 1 << 22
"""Instructions that are compared."""
LAST, FIRST = 20, 5
"""Instructions shown before the two part, and of either afterwards."""
KIND = {BUS_LOAD: "load ", BUS_STORE: "store", ENTERED: "interrupt"}


def listing(rows: NDArray[Any], image: Image | None) -> list[str]:
    """A line for each instruction: cycle, address, place, access to the bus."""
    lines = []
    for row in rows:
        kind, value = int(row["kind"]), f" = {int(row['value']):#010x}" if row["kind"] == BUS_STORE else ""
        access = f"  {KIND[kind]} {int(row['address']):#010x}{value}" if kind in (BUS_LOAD, BUS_STORE) else ""
        access = "  an interrupt is entered" if kind == ENTERED else access
        place = image.place(int(row["pc"])) if image else ""
        lines.append(f"{int(row['cycle']):>10}  {int(row['pc']):08x}  {place:<28}{access}".rstrip())
    return lines


def image_of(path: Path) -> Image | None:
    """Names of an ELF file; None without pyelftools."""
    try:
        return Image(path)
    except ImportError:
        return None


def parted(ours: NDArray[Any], theirs: NDArray[Any]) -> int | None:
    """Index of the first row that differs in more than its cycle; None if none does as far as both go."""
    n = min(len(ours), len(theirs))
    names = ("pc", "kind", "address", "value")
    differs = np.logical_or.reduce([ours[name][:n] != theirs[name][:n] for name in names])
    at = np.flatnonzero(differs)
    return int(at[0]) if at.size else None if len(ours) == len(theirs) else n


def repeat(campaign: Campaign, kind: str, seed: int, last: int = LAST) -> tuple[Result, list[str]]:
    """A fault again, and in words what the core did: `last` instructions up to where it left the run without the fault."""
    image = image_of(Path(campaign.scenario.config.cpu.image))
    with Tracer(campaign.chip, KEPT) as tracer:
        result = campaign.run(kind, seed, tracer)
        ours = tracer.last()
        host = campaign.departing(result.cycle, tracer.clear)
        campaign.scenario.play(host)
        theirs = tracer.last()
    head = [f"{kind}, seed {seed}: {result.what} at cycle {result.cycle}", f"outcome: {result.outcome}"]
    head += [f"report: {report}" for report in result.reports]
    return result, [*head, *_compared(ours, theirs, image, last)]


def _compared(ours: NDArray[Any], theirs: NDArray[Any], image: Image | None, last: int) -> Iterable[str]:
    if max(len(ours), len(theirs)) == KEPT:
        return [f"more than {KEPT} instructions follow the fault; these are the last:", *listing(ours[-last:], image)]
    at = parted(ours, theirs)
    if at is None:
        return [f"the core executes the same {len(ours)} instructions as without the fault, with the same accesses"]
    return [
        f"the core does as without the fault for {at} instructions" + (f", of which the last {last}:" if at > last else ":"),
        *listing(ours[max(at - last, 0) : at], image),
        "then, with the fault:",
        *listing(ours[at : at + FIRST], image),
        "without it:",
        *listing(theirs[at : at + FIRST], image),
    ]
