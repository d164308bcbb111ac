"""The program `tsu twin`, or `python -m tsu_apps.twin`: measure a chip, write its twin."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tsu_apps.ending import ended
from tsu_apps.job import Progress, add_url, leased, make_way
from tsu_apps.twin.config import save_config
from tsu_apps.twin.fit import Fit
from tsu_apps.twin.measuring import measure


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tsu twin",
        description="Measure a chip of clocked p-bits as it is, and write a configuration that the emulator runs as that chip. "
        "Beside it goes the fit with its errors, by the same name with the ending .npz.",
        epilog="example: tsu twin emu:digits-typical --output twin.toml; then tsu_driver.open('emu:twin.toml')",
    )
    add_url(parser)
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="write the configuration, ending .toml")
    parser.add_argument("--calibration", metavar="FILE", help='apply this calibration first; "nvm": the one in the chip')
    parser.add_argument("--effort", type=float, default=1.0, metavar="X", help="share of the full sample sizes, .05 to 10 (1)")
    parser.add_argument("--watch", type=float, default=0.0, metavar="S", help="watch offsets drift for so much chip time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found, in short, as JSON")
    return parser


def summary(fit: Fit) -> dict[str, Any]:
    """Root mean squares over elements, of JSON values: what was found, and its standard errors."""

    def rms(values: Any) -> float:
        return float(np.sqrt(np.mean(np.square(values)))) if np.size(values) else 0.0

    found = {
        "offset_kt": (rms(fit.offset), rms(fit.offset_error)),
        "bias_gain_less_1": (rms(fit.bias_gain - 1.0), rms(fit.bias_gain_error)),
        "coupler_gain_less_1": (rms(fit.coupler_gain - 1.0), rms(fit.coupler_gain_error)),
        "coupler_offset_kt": (rms(fit.coupler_offset), rms(fit.coupler_offset_error)),
        "temperature_gain": (fit.temperature, fit.temperature_error),
    }
    drift = fit.drift
    if drift is not None:
        found["drift_kt"] = (drift.sigma_kt, drift.sigma_error)
        found["drift_s"] = (drift.tau_s, drift.tau_error)
    return {name: {"value": v, "error": e if np.isfinite(e) else None} for name, (v, e) in found.items()}


def _run(given: argparse.Namespace) -> int:
    """Measure, write, print."""
    make_way(given.output, given.output.with_suffix(".npz"), given.json)
    with leased(given.url, given.calibration) as chip, Progress() as progress:
        fit = measure(chip, given.effort, watch_s=given.watch, step=lambda share: progress("twin", share))
    save_config(fit, given.output)
    fit.save(given.output.with_suffix(".npz"))
    found = summary(fit)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    for name, both in found.items():
        error_text = "unbounded" if both["error"] is None else f"{both['error']:.2g}"
        print(f"{name:<22}{both['value']:>10.4g}  error {error_text}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0; 2 if something is wrong with the request or the chip."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if not 0.05 <= given.effort <= 10:
        parser.error(f"--effort {given.effort:g}; .05 to 10 expected")
    if given.output.suffix != ".toml":
        parser.error(f"--output {given.output}: a file that ends in .toml expected")
    if not 0 <= given.watch < math.inf:
        parser.error(f"--watch {given.watch:g}; seconds, 0 or more, expected")
    return ended("tsu twin", lambda: _run(given), (ValueError,))


if __name__ == "__main__":
    sys.exit(main())
