"""How many of the faults that are injected into typical chips the self-test finds through the pins, and what it finds besides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tsu_apps.calibrate import SelfTest, Work, self_test
from tsu_apps.report import Row
from tsu_apps.study import Point, Quantity, Study
from tsu_emu.config import shipped
from tsu_testing.in_process import InProcessChip, open_in_process

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

CONFIG = "digits-typical"
KINDS = ("cell", "coupling-bit", "bias-bit", "adc")
COUNTS = (19, 20, 20, 1)
"""Faults of each kind on a die."""
WHERE = ("down", "up", "floating")


def inject(chip: InProcessChip, rng: np.random.Generator) -> dict[str, list[tuple[int, int]]]:
    """Break distinct elements; what was broken by kind: (element, bit)."""
    cap = chip.capabilities
    cells = rng.permutation(cap.cells)
    broken: dict[str, list[tuple[int, int]]] = {kind: [] for kind in KINDS}
    for k in cells[: COUNTS[0]].tolist():
        chip.oracle.inject("stuck-cell", cell=k, at=WHERE[int(rng.integers(3))])
        broken["cell"].append((k, 0))
    banks = (
        ("coupling", "coupler", cap.coupling_bits, rng.permutation(cap.couplers)),
        ("bias", "term", cap.bias_bits, cells[COUNTS[0] :]),
    )
    for (bank, name, bits, elements), count in zip(banks, COUNTS[1:3], strict=True):
        for element in elements[:count].tolist():
            bit = int(rng.integers(bits))
            chip.oracle.inject(f"stuck-{bank}-bit", **{name: element, "bit": bit, "at": int(rng.integers(2))})
            broken[f"{bank}-bit"].append((element, bit))
    adc = int(rng.integers(cap.adc_count))
    chip.oracle.inject("dead-adc", converter=adc)
    broken["adc"].append((adc, 0))
    return broken


def found_of(test: SelfTest, broken: dict[str, list[tuple[int, int]]]) -> NDArray[np.float64]:
    """(kinds,) how many of what was broken was found."""
    masks = {"coupling-bit": test.coupling_bits, "bias-bit": test.bias_bits}
    counts = [sum(test.cells[k] != 0 for k, _ in broken["cell"])]
    counts += [sum(masks[kind][e] >> bit & 1 for e, bit in broken[kind]) for kind in KINDS[1:3]]
    counts.append(sum(not test.converters[k] for k, _ in broken["adc"]))
    return np.array(counts, np.float64)


def false_alarms(chip: InProcessChip, test: SelfTest) -> tuple[int, int]:
    """(elements that are called bad and are good, elements that are good): cells, DACs and converters together, by the truth."""
    truly = [chip.oracle.truth("dead") != 0]
    truly += [chip.oracle.truth(f"stuck_{bank}_bits")[:, 0] != 0 for bank in ("coupling", "bias")]
    called = [test.cells != 0, test.coupling_bits != 0, test.bias_bits != 0]
    return sum(int((c & ~t).sum()) for c, t in zip(called, truly, strict=True)), sum(int((~t).sum()) for t in truly)


def measure(point: Point, die_seed: int) -> dict[str, Any]:
    """One die with 60 faults beside its own."""
    with open_in_process(CONFIG, die_seed=die_seed, run_seed=die_seed) as chip:
        broken = inject(chip, np.random.default_rng(die_seed))
        test = self_test(Work.of(chip))
        alarms, good = false_alarms(chip, test)
        return {
            "found": found_of(test, broken), "false_alarms": float(alarms), "good": float(good),
            "seconds_of_chip": test.cycles / chip.capabilities.clock_hz,
        }  # fmt: skip


def judge(data: xr.Dataset) -> list[Row]:
    """Shares over all dies."""
    dies = data.sizes["die"]
    found = data["found"].sum("die").to_numpy()
    rows = [Row("faults injected", float(dies * sum(COUNTS)))]
    rows += [Row(f"share of {kind} faults found", float(n) / (dies * c)) for kind, n, c in zip(KINDS, found, COUNTS, strict=True)]
    rows.append(Row.at_least("share of all faults found", float(found.sum()) / (dies * sum(COUNTS)), 0.95))
    rows.append(Row.at_most("false alarms, share of good elements", float(data["false_alarms"].sum() / data["good"].sum()), 0.01))
    rows.append(Row("chip time of a self-test", float(data["seconds_of_chip"].mean()), "s"))
    return rows


def draw(data: xr.Dataset) -> dict[str, Figure]:
    """Shares found, by kind, with 95 % intervals after Wilson."""
    from scipy.stats import binomtest

    from tsu_apps.characterise.figures import COLOURS, label, panels

    figure, (axis,) = panels()
    for k, (kind, count) in enumerate(zip(KINDS, COUNTS, strict=True)):
        n, hits = data.sizes["die"] * count, int(data["found"][:, k].sum())
        low, high = binomtest(hits, n).proportion_ci(method="wilson")
        axis.errorbar(k, hits / n, yerr=[[hits / n - low], [high - hits / n]], color=COLOURS[0], marker="o", capsize=3)
        axis.text(k, 1.01, f"{kind}\n{hits} of {n}", ha="center", fontsize=8)
    axis.axhline(0.95, color="#888888", linewidth=0.8)
    axis.set_xticks([])
    axis.set_ylim(0.8, 1.06)
    label(axis, "faults found by the self-test", "kind of fault", "share found")
    return {"found": figure}


STUDY = Study(
    name="faults",
    title="injected faults that the self-test finds",
    measure=measure,
    quantities=[
        Quantity("found", "", "faults found", {"kind": len(KINDS)}),
        Quantity("false_alarms", "", "good elements called bad"),
        Quantity("good", "", "good elements"),
        Quantity("seconds_of_chip", "s", "chip time"),
    ],
    dies=17,
    files=[shipped()[CONFIG]],
    judge=judge,
    draw=draw,
)
