"""Measures speed; every rate of updates stands beside a moment that a wrong sampler would miss.

    tools/run bench wire [--json FILE]               register operations, bulk data, training and starting through a daemon
    tools/run bench kernels [--json FILE]            spin updates per second of whole chips in process
    tools/run bench tick [--json FILE]               ticks of training on digits, the same in plain numpy, and a tick's parts
    tools/run bench tick --peers [--json FILE]       the same, and by THRML
    tools/run bench scale [--json FILE]              what an update and a coupler cost on a million cells
    tools/run bench kernels --peers [--json FILE]    the same, and the samplers of others on the same couplings, in turn with ours
    tools/run bench firmware [--json FILE]           instructions and accesses a second by the firmware core, alone and in a
                                                     chip; control loops over dies and temperatures; --long: 2,002 faults;
                                                     --peers: random code beside Unicorn, --riscv-tests DIR: the public tests

Medians over alternating repetitions; spread is one standard deviation over them. docs/benchmarks.md says what each row means.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from beside_unicorn import bench_unicorn
from comparison import compare, workloads
from contest import PEER_SEED
from firmware import bench_firmware
from kernels import bench_kernels
from langevin import bench_langevin
from loops import bench_loops
from loops import steps as steps_of_loops
from measuring import Effort
from peers.environment import PEERS, prepare
from rich.console import Console
from rich.progress import Progress
from riscv_tests import bench_riscv_tests
from running import SEED
from scale import bench_scale
from tick import bench_thrml, bench_tick, learning_chips
from whole_chip import bench_whole_chip
from wire import bench_wire

from tsu_apps.ending import ended
from tsu_apps.report import Row, format_rows, write_json

REPEATS, QUICK_REPEATS = 7, 3
BENCHES = {
    "wire": bench_wire, "kernels": bench_kernels, "tick": bench_tick, "scale": bench_scale, "firmware": bench_firmware,
}  # fmt: skip


def measure(name: str, peers: bool, repeats: int, quick: bool, riscv_tests: Path | None, long: bool = False) -> list[Row]:
    """All rows of a benchmark, printed part by part, with a bar while it runs."""
    console = Console(stderr=True)
    unavailable = prepare(console.print, ("unicorn",) if name == "firmware" else PEERS) if peers else {}
    everything = workloads(quick) if peers and name == "kernels" else []
    rows = [_load("before")]
    with Progress(console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as bar:
        task = bar.add_task(f"measuring {name}", total=_steps(name, peers, repeats, len(everything), quick))
        effort = Effort(repeats, quick, lambda: bar.advance(task), long)
        parts: list[Callable[[], list[Row]]] = [partial(BENCHES[name], effort)]
        parts += [partial(bench_whole_chip, effort), partial(bench_loops, effort)] if name == "firmware" else []
        parts += [partial(compare, workload, unavailable, effort, console.print) for workload in everything]
        beside = {"tick": bench_thrml, "firmware": bench_unicorn}.get(name, bench_langevin)
        parts += [partial(beside, unavailable, effort, console.print)] * peers
        parts += [partial(bench_riscv_tests, riscv_tests)] if riscv_tests else []
        for part in parts:
            found = part()
            print(format_rows(found), flush=True)
            rows += found
    rows.append(_load("after"))
    print(format_rows([rows[0], rows[-1]]))
    return rows


def _steps(name: str, peers: bool, repeats: int, compared: int, quick: bool) -> int:
    """How often a benchmark calls `Effort.step`."""
    if name == "tick":
        return repeats * (1 + peers) + len(learning_chips(True)) * (repeats + 1)
    if name == "firmware":
        return 2 * repeats + steps_of_loops(quick)
    return repeats * ({"wire": 3, "kernels": 2}.get(name, 1) + compared + 2 * peers)


def _load(when: str) -> Row:
    """How busy the machine is: with more than a few others at work, rates mean little and ratios not much."""
    return Row(f"processes that want a core, mean of a minute {when}", os.getloadavg()[0])


def main() -> int:
    """0 if every goal is met."""
    parser = argparse.ArgumentParser(prog="tools/run bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("name", choices=BENCHES, help="what to measure")
    parser.add_argument("--json", metavar="FILE", help="write the rows to FILE")
    parser.add_argument(
        "--peers", action="store_true", help="kernels, tick, firmware: compare with others, which are installed apart"
    )
    parser.add_argument("--riscv-tests", metavar="DIR", type=Path, help="firmware: a copy of riscv-tests with its submodule env")
    parser.add_argument("--quick", action="store_true", help="small sizes, and no goals of speed, for a look that it works")
    parser.add_argument("--long", action="store_true", help="firmware: the whole campaign of faults")
    arguments = parser.parse_args()
    if arguments.long and arguments.name != "firmware":
        parser.error("--long goes with firmware")
    if arguments.peers and arguments.name in ("wire", "scale"):
        parser.error("--peers goes with kernels, tick and firmware")
    if arguments.riscv_tests and arguments.name != "firmware":
        parser.error("--riscv-tests goes with firmware")
    from tsu_emu.warmup import warm_up

    warm_up(lambda done, total: None)
    repeats = QUICK_REPEATS if arguments.quick else REPEATS
    rows = measure(arguments.name, arguments.peers, repeats, arguments.quick, arguments.riscv_tests, arguments.long)
    if arguments.json:
        config = {"bench": arguments.name, "repeats": repeats, "quick": arguments.quick, "peers": arguments.peers}
        write_json(arguments.json, rows, config=config, seeds={"codes": SEED, "peers": PEER_SEED})
    return 0 if all(row.ok is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(ended("tools/run bench", main))
