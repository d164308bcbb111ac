"""How cells move: autocorrelation, kinetics, noise sources; with what analog cells settle to (`equilibrium`).

Errors are those of means over planes, or of a jackknife over groups of planes, whose lives are independent; a tolerance is 5
of them unless said. Values of cells are corrected by what their converters make of two references.
"""

from __future__ import annotations

import numpy as np

from tsu_apps.characterise import equilibrium
from tsu_apps.characterise.lab import Lab
from tsu_apps.characterise.measurement import Measurement, Outcome
from tsu_apps.characterise.points import shown
from tsu_apps.characterise.problems import LOOSE, Floats, biases, relaxing, tick_s
from tsu_apps.characterise.procedure import Procedure
from tsu_apps.characterise.readings import (
    SIGMAS,
    Planes,
    autocovariances,
    jackknife,
    look,
    ordinary,
    over_planes,
    rings,
    rms,
    values,
)  # fmt: skip
from tsu_driver import Chip

BIASES = (0.0, 0.8, 1.6)
"""Biases at which kinetics is measured, kT."""
LAGS, RING_LAGS = 6, 18
"""Ticks over which autocovariances are taken, of spins and of values."""
SERIAL_LAGS = 8


# Autocorrelation


def autocorrelation(lab: Lab) -> Outcome:
    """How fast cells forget: relaxation times, or, of cells that ring, their frequency and quality."""
    chip = lab.chip
    relaxing(chip).put(chip)
    if chip.kind == "async-pbit":
        c = autocovariances(_spins(lab, lab.samples(400), 1.0), LAGS)
        return shown(_spin_times(chip, c))
    x = values(lab, lab.samples(300 if chip.capabilities.cells > 32 else 1500), 1, 40, 1.0)
    c = autocovariances(x, RING_LAGS)
    if rings(c):
        return shown(_ringing(chip, c), notes="the cells ring")
    return shown(_analog_times(chip, c))


def _spins(lab: Lab, n: int, share: float) -> Floats:
    """(n, planes, cells) spins from tick to tick, of 16 planes at most."""
    lab.chip.enable_planes(min(16, lab.chip.capabilities.planes))
    return look(lab, n, 1, 40, share).astype(np.float64)


def lags_of(times: Floats) -> np.ndarray:
    """(cells,) ticks, 1 .. LAGS, about .7 of relaxation times in ticks."""
    return np.clip(np.rint(0.7 * times), 1, LAGS).astype(np.int64)


def _spin_times(chip: Chip, c: Floats) -> list[Measurement]:
    """From autocovariances (lags + 1, planes, cells) of spins: -D / ln r(D) at a lag D of about .7 relaxation times."""
    mean = c.mean(axis=1)
    candidates = np.flatnonzero((mean[0] > 0.05) & (mean[1] > 0.02 * mean[0]))
    first = -1 / np.log(np.clip(mean[1, candidates] / mean[0, candidates], 0.01, 0.99))
    lag = lags_of(first)

    def logs(planes: Planes) -> Floats:
        m = c[:, planes].mean(axis=1)[:, candidates]
        return np.asarray(np.log(-lag / np.log(np.clip(m[lag, np.arange(len(lag))] / m[0], 0.01, 0.99)) * tick_s(chip)))

    good = ordinary(jackknife(c.shape[1], logs)[1])
    each, error = (part[good] for part in jackknife(c.shape[1], logs))
    mean_log, mean_error = jackknife(c.shape[1], lambda planes: np.asarray(logs(planes)[good].mean()))
    moving = candidates[good]
    return [
        Measurement.of(
            "relaxation time of each cell that can be resolved, ln(t / s)", "cell.relaxation", each, error, "",
            SIGMAS * rms(error) + 0.01, moving, "cell",
        ),
        Measurement.of(
            "relaxation time, geometric mean of these cells, ln(t / s)", "cell.relaxation.mean", mean_log, mean_error, "",
            SIGMAS * float(mean_error) + 0.01, moving,
        ),
    ]  # fmt: skip


def _analog_times(chip: Chip, c: Floats) -> list[Measurement]:
    """From autocovariances of values: -D / ln(c(2D) / c(D)), D = 1 tick, which noise of the converters does not reach."""

    def times(planes: Planes) -> Floats:
        m = c[:, planes].mean(axis=1)
        return np.asarray(-tick_s(chip) / np.log(np.clip(m[2] / m[1], 0.01, 0.99)))

    each, error = jackknife(c.shape[1], times)
    mean, mean_error = jackknife(c.shape[1], lambda planes: np.asarray(times(planes).mean()))
    return [
        Measurement.of(
            "relaxation time of each cell", "cell.relaxation_s", each, error, "s", (SIGMAS + 1) * rms(error),
            np.arange(c.shape[2]), "cell",
        ),
        Measurement.of(
            "relaxation time, mean over cells", "cell.relaxation_s.mean", mean, mean_error, "s",
            SIGMAS * float(mean_error) + 0.005 * float(mean),
        ),
    ]  # fmt: skip


def ring_fit(c: Floats, tick: float) -> Floats:
    """(2, cells) frequency, Hz, and quality from autocovariances (lags, cells) a tick (s) apart, lag 0 first: c(k+1) = p c(k) -
    q c(k-1) by least squares, without lag 0, which has the noise of the converters."""
    out = []
    for one in c[1:].T:
        (p, q), *_ = np.linalg.lstsq(np.stack([one[1:-1], -one[:-2]], axis=1), one[2:], rcond=None)
        decay = -0.5 * np.log(np.clip(q, 1e-3, 1.0 - 1e-6))
        angle = np.arccos(np.clip(p / (2 * np.sqrt(np.clip(q, 1e-3, 1.0))), -1.0, 1.0))
        out.append((angle / (2 * np.pi * tick), np.hypot(angle, decay) / (2 * decay)))
    return np.array(out).T


def _ringing(chip: Chip, c: Floats) -> list[Measurement]:
    """Frequency and quality of each cell, from autocovariances (lags + 1, planes, cells)."""

    def fit(planes: Planes) -> Floats:
        return ring_fit(c[:, planes].mean(axis=1), tick_s(chip))

    both, error = jackknife(c.shape[1], fit)
    usual, cells = np.sqrt(np.mean(error**2, axis=1)), np.arange(c.shape[2])
    return [
        Measurement.of(
            "frequency at which each cell rings",
            "cell.ringing_hz",
            both[0],
            error[0],
            "Hz",
            SIGMAS * float(usual[0]),
            cells,
            "cell",
        ),
        Measurement.of(
            "quality factor of each cell", "cell.quality", both[1], error[1], "", SIGMAS * float(usual[1]), cells, "cell"
        ),
    ]


def kinetics(lab: Lab) -> Outcome:
    """How much faster cells forget under a bias: in Glauber kinetics not at all, in Arrhenius kinetics by its cosh."""
    chip, logs = lab.chip, []
    for bias in BIASES:
        relaxing(chip, bias).put(chip)
        c = autocovariances(_spins(lab, lab.samples(250), 1 / len(BIASES)), 2)
        logs.append(c)
    good = np.all([(c.mean(axis=1)[0] > 0.02) & (c.mean(axis=1)[1] > 0.1 * c.mean(axis=1)[0]) for c in logs], axis=0)

    def rates(planes: Planes) -> Floats:
        r = np.stack([c[:, planes].mean(axis=1)[1, good] / c[:, planes].mean(axis=1)[0, good] for c in logs])
        rate = -np.log(np.clip(r, 0.01, 0.99))
        return np.asarray(np.exp(np.log(rate / rate[0]).mean(axis=1)))

    speed, error = jackknife(logs[0].shape[1], rates)
    likely = "Glauber" if speed[-1] < np.sqrt(np.cosh(BIASES[-1])) else "Arrhenius"
    measurement = Measurement.of(
        "rate of relaxation over that at no bias, mean of the slower cells", "kinetics.rate", speed, error, "",
        SIGMAS * float(error.max()) + 0.02 * float(speed.max()), np.flatnonzero(good),
    )  # fmt: skip
    return shown([measurement], notes=f"biases {', '.join(map(str, BIASES))} kT; {likely}'s kinetics")


# Noise of clocked p-bits


def noise_source(lab: Lab) -> Outcome:
    """Correlation of a free cell's spin with its spin some sweeps later, mean over cells."""
    chip = lab.chip
    chip.program_couplings(LOOSE, biases(chip))
    x = look(lab, lab.samples(400), 1, 50, 1.0).astype(np.float32)
    d = x - x.mean(axis=(0, 1))
    variance = (d * d).mean(axis=(0, 1))
    good = variance > 0.05
    r = np.stack([(d[: len(d) - k] * d[k:]).mean(axis=0)[:, good] / variance[good] for k in range(1, SERIAL_LAGS + 1)], axis=1)
    serial, error = over_planes(r.mean(axis=2))
    measurement = Measurement.of(
        "serial correlation of free cells", "noise.serial", serial, error, "", SIGMAS * float(error.max()),
        np.arange(1, SERIAL_LAGS + 1), "lag / sweeps",
    )  # fmt: skip
    return shown([measurement])


def _kinds(*names: str) -> frozenset[str]:
    return frozenset(names)


PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        "autocorrelation", "How fast cells forget",
        "Cells without couplings from tick to tick; -D / ln r at D of about .7 relaxation times; if they ring, a recurrence "
        "of two terms through the autocovariances. 5 to 6 standard errors (jackknife over planes), 1 % for couplers of code 0.",
        autocorrelation, _kinds("async-pbit", "gaussian", "langevin"),
    ),
    Procedure(
        "kinetics", "Kinetics", "Relaxation rates at biases of 0, .8 and 1.6 kT over that at 0. 5 standard errors, 2 %.",
        kinetics, _kinds("async-pbit"),
    ),
    Procedure(
        "noise-source", "Memory of the noise of p-bits",
        "Spins of uncoupled cells from sweep to sweep; 0 with ideal noise. 5 standard errors.", noise_source, _kinds("pbit"),
    ),
    *equilibrium.PROCEDURES,
)  # fmt: skip
