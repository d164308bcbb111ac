"""Control loops of the firmware in C on the chip's own core, each beside what a host does, over dies and over temperature.

Offsets are the oracle's; slopes are measured through the pins.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import numpy as np
from measuring import Effort
from numpy.typing import NDArray
from whole_chip import IMAGE

from tsu_apps.calibrate import Calibrator, Work
from tsu_apps.calibrate.work import field_of
from tsu_apps.report import Row
from tsu_testing.campaign import OUTCOMES, Campaign
from tsu_testing.faults import KINDS
from tsu_testing.guarded import Guarded
from tsu_testing.in_process import InProcessChip, open_in_process

Floats = NDArray[np.float64]
SERVO, TEMP = 1, 3
DIES, QUICK_DIES = 20, 2
ENOUGH_DIES = 10
"""From which on the ratio of two servos has a goal: on one die it spreads by a fifth."""
SPREAD = {"trim.bits": 9, "cell.offset_sigma_kt": 0.2}
PATIENCE = 400_000_000
CELSIUS, QUICK_CELSIUS = (0.0, 17.0, 34.0, 51.0, 68.0, 85.0), (0.0, 85.0)
ZERO_K, REFERENCE_K = 273.15, 300.0
COEFFICIENT = 4e-3
"""Of T, per K."""
HEAT = {
    "temperature.tc_per_k": COEFFICIENT, "thermal.sensor_lag_s": 0.01, "thermal.tau_s": "[0.001, 0.005]",
    "slow.epoch_cycles": 100_000,
}  # fmt: skip
LOOKS = 4000
FAULTS, LONG_FAULTS, LONG_S = 3, 182, 600.0


def nothing() -> None:
    """Nobody follows the progress."""


def command(chip: InProcessChip, *words: int) -> list[int]:
    """Words of the answer to a command by the mailbox, the header first."""
    for word in words:
        batch = chip.batch()
        batch.wait_field("MAILBOX.STATUS.TO_CORE", 0, max_cycles=PATIENCE)
        batch.write("MAILBOX.TO_CORE", word & 0xFFFFFFFF)
        batch.execute()
    found: list[int] = []
    while len(found) <= (found[0] >> 8 & 0xFF if found else 0):
        batch = chip.batch()
        batch.wait_field("MAILBOX.STATUS.FROM_CORE", 1, max_cycles=PATIENCE)
        ticket = batch.read("MAILBOX.FROM_CORE")
        batch.write("MAILBOX.STATUS", FROM_CORE=1)
        batch.execute()
        found.append(ticket.value)
    if found[0] >> 16:
        raise AssertionError(f"command {words}: status {found[0] >> 16}")
    return found


def offsets(chip: InProcessChip) -> Floats:
    """(cells,) offsets in kT, the truth."""
    return chip.oracle.truth("offset")


def by_firmware(die: int) -> tuple[Floats, Floats]:
    """Offsets before and after the firmware's servo."""
    with open_in_process("ideal-16", die_seed=die, changes=SPREAD | {"cpu.image": IMAGE}) as chip:
        before = offsets(chip)
        command(chip, SERVO)
        return before, offsets(chip)


def by_host(die: int) -> Floats:
    """Offsets after the host's procedure on the same die."""
    with open_in_process("ideal-16", die_seed=die, changes=SPREAD) as chip:
        Calibrator.of(Work.of(chip), ["offsets"]).calibrate_all()
        return offsets(chip)


def rms(values: Floats) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(values**2)))


def servo_rows(dies: Iterable[int], step: Callable[[], None] = nothing) -> list[Row]:
    """What trims leave of offsets of .2 kT, over all cells of all dies."""
    left, host, before = [], [], []
    for die in dies:
        raw, trimmed = by_firmware(die)
        before.append(raw)
        left.append(trimmed)
        host.append(by_host(die))
        step()
    all_left, all_host = np.abs(np.array(left)), np.abs(np.array(host))
    name, ratio = f"{len(left)} dies of ideal-16", rms(all_left) / rms(all_host)
    beside = f"{name}: rms after the servo over that after the host's procedure"
    return [
        Row(f"{name}: rms of offsets before", rms(np.array(before)), "kT"),
        Row.at_most(f"{name}: mean offset after the servo on the core", float(all_left.mean()), 0.01, "kT"),
        Row.at_most(f"{name}: greatest offset after it", float(all_left.max()), 0.01, "kT"),
        Row(f"{name}: mean offset after the host's procedure", float(all_host.mean()), "kT"),
        Row(f"{name}: greatest after the host's procedure", float(all_host.max()), "kT"),
        Row.at_most(beside, ratio, 1.1) if len(left) >= ENOUGH_DIES else Row(beside, ratio),
    ]


def slope(chip: InProcessChip) -> float:
    """Of the cells' transfer curve at zero field, over its nominal one: 1 / T, by the means under a bias of 1 kT."""
    work = Work.of(chip)
    chip.program_couplings(([[0, 1]], [0.0]), np.full(16, 1.0))
    return float(np.mean(field_of(work.means(LOOKS).mean(axis=0))))


def heat_rows(celsius: Iterable[float], step: Callable[[], None] = nothing) -> list[Row]:
    """Slopes over ambient temperature, as they are and with the firmware's compensation."""
    raw: list[float] = []
    compensated: list[float] = []
    reference = round(REFERENCE_K * 64)
    with open_in_process("ideal-16", changes=HEAT | {"cpu.image": IMAGE}) as chip:
        for degrees in celsius:
            chip.instruments.ambient(ZERO_K + degrees)
            chip.instruments.skip(1.0)
            command(chip, TEMP | 4 << 8, reference, 0, 1 << 16, 1)
            raw.append(slope(chip))
            command(chip, TEMP | 4 << 8, reference, round(COEFFICIENT * 2**24), 1 << 16, 1)
            compensated.append(slope(chip))
            step()
    span = f"0 to 85 C, {len(raw)} temperatures"
    return [
        Row(f"{span}: slope moves by", float(np.ptp(raw)), ""),
        Row.at_most(f"{span}: greatest departure of the compensated slope from 1", max(abs(s - 1) for s in compensated), 0.01),
        Row.at_most(f"{span}: compensated slope moves by", float(np.ptp(compensated)), 0.01),
    ]


def fault_rows(of_each: int, step: Callable[[], None] = nothing) -> list[Row]:
    """Outcomes of a small campaign in the firmware that defends itself: docs/firmware-testing.md."""
    campaign, found, begun = Campaign(Guarded()), dict.fromkeys(OUTCOMES, 0), time.monotonic()
    for kind in KINDS:
        for seed in range(of_each):
            found[OUTCOMES[int(campaign.measure(kind, seed)["outcome"])]] += 1
        step()
    name = f"campaign, {of_each} faults of each of {len(KINDS)} kinds"
    took, title = time.monotonic() - begun, f"{name}: it took"
    row = Row.at_most(title, took, LONG_S, "s") if of_each == LONG_FAULTS else Row(title, took, "s")
    return [*(Row(f"{name}: {outcome}", count) for outcome, count in found.items()), row]


def steps(quick: bool) -> int:
    """How often `bench_loops` calls `Effort.step`."""
    return (QUICK_DIES + len(QUICK_CELSIUS) if quick else DIES + len(CELSIUS)) + len(KINDS)


def bench_loops(effort: Effort) -> list[Row]:
    """All of it; with `effort.long` the campaign of docs/firmware-testing.md."""
    dies = QUICK_DIES if effort.quick else DIES
    faults = 1 if effort.quick else LONG_FAULTS if effort.long else FAULTS
    rows = servo_rows(range(1, dies + 1), effort.step)
    rows += heat_rows(QUICK_CELSIUS if effort.quick else CELSIUS, effort.step)
    return rows + fault_rows(faults, effort.step)
