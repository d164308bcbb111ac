"""What an update costs, in time, energy, traffic, arithmetic and memory, as machines grow in cells and in depth.

Machines of equally wide layers, each coupled to the next, trained with the host in the loop (`Ctd`) and by the chip's learning
engine (`OnChipCtd`), 32 + 32 planes; beside them a perceptron of the same layers by backpropagation (`Sgd`), batches of 32. All
is counted or follows from counts: nothing depends on the computer that runs it. An update's cost is the difference of two
trainings over the difference of their ticks, so that setting up, the looks on the way and averaged weights do not count; what is
done once for a chip is done in a tick before them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from experiment import Case, Experiment, Results

import tsu_driver as tsu
from tsu_apps.learning import Ctd, OnChipCtd, Sgd
from tsu_apps.report import Row

CELLS, DEPTHS, WIDTH = (32, 64, 128, 256, 512), (1, 2, 3, 4), 64
"""Cells of machines of one hidden layer; hidden layers of machines whose layers have WIDTH cells."""
TICKS = 300, 400
"""The two trainings: long enough that both have all looks, and no two of them in a row."""
EXAMPLES, CLASSES, BATCH = 256, 10, 32
ENERGIES = {"update": 7_000, "read": 1_700_000, "write": 150_000_000, "learn": 1_000}
ENERGY = "&".join(f"energy.{name}_aj={value}" for name, value in ENERGIES.items())
"""An operation's energies as `digits-typical` assumes them, without standby power."""
FLOAT, CORRELATOR_BITS, ROLES = 8, 32, 2
"""Bytes of a host's number; width of the chip's correlation accumulators, of which each pair and cell has one a role."""
LOOP, CHIP, BACK = "CTD, host in the loop", "CTD on the chip", "backpropagation"
ALGORITHMS: Mapping[str, type[Ctd]] = {LOOP: Ctd, CHIP: OnChipCtd}
QUANTITIES: Mapping[str, str] = {
    "cycles": "cycle", "joules": "J", "multiply_adds": "MAC", "wire_bytes": "B", "host_bytes": "B", "activation_bytes": "B",
    "chip_bits": "bit", "state_bits": "bit",
}  # fmt: skip


def measure(seed: int, algorithm: str, width: int, depth: int, trainings: tuple[int, int] = TICKS) -> dict[str, Any]:
    """Costs of an update on a chip of 1 + depth layers of so many cells, by the names of QUANTITIES.

    trainings : ticks of the two

    host_bytes : what the host keeps from update to update: masters, and the averages of both roles that it has fetched
    activation_bytes : stored for an update's sake besides: none
    chip_bits : correlation and learning accumulators and codes; state_bits : spins of all planes, the machine itself
    """
    topology = f'{{kind="layered",layers={[width] * (1 + depth)}}}'
    X = np.where(np.random.default_rng(seed).random((EXAMPLES, width)) < 0.5, -1, 1)
    with tsu.open(f"emu:digits-ideal?run_seed={seed + 1}&threads=1&{ENERGY}&fabric.topology={topology}") as chip:
        c = chip.capabilities
        counted = []
        for ticks in (1, *trainings):
            machine = ALGORITHMS[algorithm](chip, range(width), ticks=ticks, average_from=0.999, seed=seed)
            counted.append(machine.fit(X, progress=False).counters_)
        sizes, learns = c.pairs + c.cells, algorithm == CHIP
        _, first, last = counted
        updates = trainings[1] - trainings[0]
        return {
            "cells": c.cells,
            "parameters": sizes,
            "cycles": (last.chip_seconds - first.chip_seconds) * c.clock_hz / updates,
            "joules": (last.joules - first.joules) / updates,
            "multiply_adds": (last.host_operations - first.host_operations) / updates,
            "wire_bytes": (last.bytes - first.bytes) / updates,
            "host_bytes": 0 if learns else FLOAT * (1 + ROLES) * sizes,
            "activation_bytes": 0,
            "chip_bits": sizes * (ROLES * CORRELATOR_BITS + learns * c.learn_bits)
            + c.couplers * c.coupling_bits
            + c.cells * c.bias_bits,
            "state_bits": c.planes * c.cells,
        }


def backpropagation(seed: int, width: int, depth: int) -> dict[str, Any]:
    """The same of a perceptron of `width` pixels and `depth` hidden layers; it needs no chip, wire or state.

    host_bytes : weights, their momentum and their gradient; activation_bytes : of a batch, kept for the way back
    """
    rng = np.random.default_rng(seed)
    X, y = np.where(rng.random((EXAMPLES, width)) < 0.5, -1, 1), np.arange(EXAMPLES) % CLASSES
    machine = Sgd((width,) * depth, epochs=1, batch=BATCH, seed=seed).fit(X, y, progress=False)
    weights = sum(w.size for w in (*machine.model_.coefs_, *machine.model_.intercepts_))
    return {
        "cells": width * (1 + depth),
        "parameters": weights,
        "multiply_adds": machine.counters_.host_operations / machine.counters_.ticks,
        "host_bytes": 3 * FLOAT * weights,
        "activation_bytes": FLOAT * BATCH * (width * depth + CLASSES),
    }


def _name(algorithm: str, width: int, depth: int) -> str:
    return f"{algorithm}, {width * (1 + depth)} cells, depth {depth}"


def sizes_of(axis: str, quick: bool = False) -> list[tuple[int, int]]:
    """(width, depth) of the machines along "cells" or "depth"."""
    cells, depths = (CELLS[:2], DEPTHS[:2]) if quick else (CELLS, DEPTHS)
    return [(n // 2, 1) for n in cells] if axis == "cells" else [(16 if quick else WIDTH, d) for d in depths]


def _cases(quick: bool) -> Sequence[Case]:
    sizes = dict.fromkeys(sizes_of("cells", quick) + sizes_of("depth", quick))
    more = {"trainings": (5, 10)} if quick else {}
    cases = [
        Case(_name(algorithm, w, d), measure, {"algorithm": algorithm, "width": w, "depth": d, **more}, 1)
        for algorithm in ALGORITHMS
        for w, d in sizes
    ]
    return cases + [Case(_name(BACK, w, d), backpropagation, {"width": w, "depth": d}, 1) for w, d in sizes]


def curve(
    results: Results, algorithm: str, quantity: str, axis: str, quick: bool = False
) -> tuple[np.ndarray, np.ndarray] | None:
    """Sizes along an axis and a quantity at each; None if the algorithm has no such quantity, or none of it."""
    sizes = sizes_of(axis, quick)
    runs = [results.runs[_name(algorithm, w, d)][0] for w, d in sizes]
    if not all(run.get(quantity) for run in runs):
        return None
    x = [run["cells"] for run in runs] if axis == "cells" else [d for _, d in sizes]
    return np.array(x, np.float64), np.array([run[quantity] for run in runs], np.float64)


def fetched(cells: np.ndarray) -> np.ndarray:
    """Cycles in which CLAMP_NEXT moves a tick's examples, BATCH rows of spins, a 32-bit word a cycle."""
    return np.asarray(BATCH * np.ceil(cells / 32))


def exponent(x: np.ndarray, y: np.ndarray) -> float:
    """Of a power law through the larger half of the sizes, by least squares of logarithms."""
    from_ = (len(x) - 1) // 2
    return float(np.polyfit(np.log(x[from_:]), np.log(y[from_:]), 1)[0])


def _judge(results: Results, quick: bool) -> list[Row]:
    slopes = {
        (axis, algorithm, quantity): exponent(*found)
        for axis in ("cells", "depth")
        for quantity in QUANTITIES
        for algorithm in (*ALGORITHMS, BACK)
        if (found := curve(results, algorithm, quantity, axis, quick)) is not None
    }
    rows = [
        Row(f"exponent with {axis} of {quantity}, {algorithm}", value) for (axis, algorithm, quantity), value in slopes.items()
    ]
    largest = [_name(algorithm, *sizes_of("cells", quick)[-1]) for algorithm in (*ALGORITHMS, BACK)]
    deepest = [_name(algorithm, *sizes_of("depth", quick)[-1]) for algorithm in (*ALGORITHMS, BACK)]
    for case in dict.fromkeys(largest + deepest):
        rows += [results.row(case, q, f"{q}, {case}", unit) for q, unit in QUANTITIES.items() if q in results.runs[case][0]]
    if quick:
        return rows
    wire = max(results.mean(_name(CHIP, w, d), "wire_bytes") for axis in ("cells", "depth") for w, d in sizes_of(axis))
    return [
        Row.at_most("bytes over the wire for an update on the chip, at most", wire, 0.0, "B"),
        *(Row.at_most(f"exponent with {axis} of its cycles, but for fetching examples", _without_fetching(results, axis), 0.01)
          for axis in ("cells", "depth")),
        Row.at_most("exponent with cells of cycles on the chip", slopes["cells", CHIP, "cycles"], 0.5),
        Row.at_least("exponent with depth of activations that backpropagation stores",
                     slopes["depth", BACK, "activation_bytes"], 0.9),
        *rows,
    ]  # fmt: skip


def _without_fetching(results: Results, axis: str) -> float:
    """Exponent of an update's cycles on the chip less those of fetching examples."""
    sizes = sizes_of(axis)
    cells, cycles = (np.array([results.mean(_name(CHIP, w, d), name) for w, d in sizes]) for name in ("cells", "cycles"))
    return exponent(cells if axis == "cells" else np.array([d for _, d in sizes], np.float64), cycles - fetched(cells))


COLOURS = {LOOP: "#b5541c", CHIP: "#1f5f8b", BACK: "#777777"}
PANELS = (
    ("cycles", "chip cycles"), ("joules", "energy of operations  (J)"), ("wire_bytes", "bytes over the wire"),
    ("multiply_adds", "multiply-adds of the host"), ("activation_bytes", "bytes kept"),
)  # fmt: skip


def _draw(results: Results, folder: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(18, 5.8), layout="constrained")
    for row, axis_name in zip(figure.subplots(2, len(PANELS), sharex="row", sharey="col"), ("cells", "depth"), strict=True):
        for axis, (quantity, label) in zip(row, PANELS, strict=True):
            for algorithm, colour in COLOURS.items():
                found = curve(results, algorithm, quantity, axis_name)
                if found is not None:
                    text = "activations, backpropagation" if quantity == "activation_bytes" else algorithm
                    axis.plot(*found, "o-", color=colour, markersize=4, label=text)
            if quantity == "activation_bytes":
                _draw_memory(axis, results, axis_name)
            axis.set_xscale("log", base=2)
            axis.set_yscale("log")
            axis.set_xticks(found_ticks := CELLS if axis_name == "cells" else DEPTHS, [f"{x}" for x in found_ticks])
            axis.set_xlabel("cells, one hidden layer" if axis_name == "cells" else f"hidden layers of {WIDTH} cells")
            axis.set_ylabel(label)
            axis.grid(color="#eeeeee", linewidth=0.6)
            axis.spines[["top", "right"]].set_visible(False)
            if quantity in ("wire_bytes", "multiply_adds"):
                axis.text(
                    0.97, 0.03, "CTD on the chip: none", ha="right", transform=axis.transAxes, fontsize=7.5, color="#1f5f8b"
                )
    for axis in figure.axes[: len(PANELS) - 1]:
        axis.legend(frameon=False, fontsize=7.5)
    figure.axes[len(PANELS) - 1].legend(frameon=False, fontsize=7.5, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(folder / "experiments-cost.png", dpi=110)


def _draw_memory(axis: Any, results: Results, along: str) -> None:
    """What is kept beside activations: accumulators and codes of the chip, its spins, the loop's masters and averages."""
    for algorithm, quantity, unit, style, text in (
        (CHIP, "chip_bits", 8, "o-", "accumulators and codes on the chip"),
        (CHIP, "state_bits", 8, "o:", "spins of all planes"),
        (LOOP, "host_bytes", 1, "o-", "masters, averages in the loop"),
        (BACK, "host_bytes", 1, "o--", "weights, momentum, gradient"),
    ):
        x, y = curve(results, algorithm, quantity, along) or (np.empty(0), np.empty(0))
        axis.plot(x, y / unit, style, color=COLOURS[algorithm], markersize=4, label=text)


EXPERIMENTS = (Experiment("cost", "cost of an update against cells and depth, beside backpropagation", _cases, _judge, _draw),)
