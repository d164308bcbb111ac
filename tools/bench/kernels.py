"""Spin updates per second of whole chips in process, each rate beside a moment that a wrong sampler would miss."""

from __future__ import annotations

from free import bench_free
from measuring import Effort, median_row, zero_row
from roofline import machine_rows, roof_row
from running import Running, Subject

from tsu_apps.report import Row


def subjects(quick: bool) -> list[Subject]:
    """The chips that are measured; dense 512 is not shipped."""
    from tsu_emu.config import load, parse

    shrink = {"fabric.topology.width": "16", "fabric.topology.height": "16"} if quick else {}
    z1, digits, digits_ideal = load("z1-128", shrink), load("digits-typical"), load("digits-ideal")
    ideal = parse({**z1.model_dump(by_alias=True, include={"fabric", "clock", "timing"}), "name": "z1-128-ideal"})
    dense = parse({"name": "dense-512", "fabric": {"topology": {"kind": "dense", "cells": 64 if quick else 512}}})
    return [
        Subject("z1-128, 64 planes, 2 threads", z1, 64, 2, 60, 400.0),
        Subject("z1-128, 64 planes", z1, 64, 1, 40),
        Subject("z1-128 without errors", ideal, 64, 1, 40),
        Subject("z1-128, 1 plane", z1, 1, 1, 400),
        Subject("dense 512, 64 planes", dense, 64, 1, 60),
        Subject("digits-typical, 64 planes", digits, 64, 1, 100 if quick else 3000),
        Subject("digits-ideal, 64 planes", digits_ideal, 64, 1, 100 if quick else 3000),
    ]


def bench_kernels(effort: Effort) -> list[Row]:
    """Rates of all subjects, alternating, each followed by the moment that proves its sampler and its share of the roof."""
    running = [Running(s) for s in subjects(effort.quick)]
    rates: list[list[float]] = [[] for _ in running]
    for _ in range(effort.repeats):
        for k, chip in enumerate(running):
            rates[k].append(chip.rate())
        effort.step()
    rows = machine_rows()
    for chip, values in zip(running, rates, strict=True):
        rows.append(median_row(chip.subject.name, values, "M/s", effort.goal(chip.subject.goal)))
        rows.append(zero_row(f"{chip.subject.name}: <s I> - <I tanh I>", *chip.moment(), "kT"))
        cap = chip.chip.capabilities
        rows.append(roof_row(chip.subject, cap.cells, cap.couplers, values))
    errors = [a / b for a, b in zip(rates[1], rates[2], strict=True)]
    rows.append(median_row("z1-128 with over without errors", errors, ""))
    errors = [a / b for a, b in zip(rates[5], rates[6], strict=True)]
    rows.append(median_row("digits, every effect over ideal", errors, "", effort.goal(0.7)))
    return rows + bench_free(effort)
