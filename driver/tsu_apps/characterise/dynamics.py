"""How cells move, and what analog cells settle to: autocorrelation, kinetics, covariances, moments, mixtures, noise sources.

Errors are those of means over planes, or of a jackknife over groups of planes, whose lives are independent; a tolerance is 5
of them unless said. Values of cells are corrected by what their converters make of two references.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tsu_apps.characterise.lab import Lab
from tsu_apps.characterise.measurement import Measurement, Outcome, Procedure
from tsu_apps.characterise.problems import LOOSE, Floats, Problem, biases, look, ordinary, over_planes, pause, rms, tick_s
from tsu_driver import Chip

SIGMAS = 5.0
REFERENCE = 7 / 8
"""Of the range: where the converters' references lie."""
BIASES = (0.0, 0.8, 1.6)
"""Biases at which kinetics is measured, kT."""
LAGS, RING_LAGS = 6, 18
"""Ticks over which autocovariances are taken, of spins and of values."""
WELL = {"a": -1.0, "b": 1.0}
SOFT = {"a": 1.0, "b": 0.0625}
"""Of Langevin cells at rest: b = 0 would leave its sign to the offset of a DAC, and cells would run off to the rails."""
WEIGHTS, MEANS = (0.0, 0.5, -0.5, 0.25), (-2.5, -0.5, 1.0, 2.5)
"""Of the modes of mixture cells; repeated if there are more."""
SERIAL_LAGS = 8


def values(lab: Lab, n: int, every: int, burn: int, share: float) -> Floats:
    """(n, planes, cells) values of analog cells, the offset and gain of each converter taken out."""
    low, high = references(lab.chip)
    cells = np.arange(lab.chip.capabilities.cells) % lab.chip.capabilities.adc_count
    middle, gain = 0.5 * (low + high)[cells], ((high - low) / (2 * REFERENCE))[cells]
    reach = float(-lab.chip.adc_value(0, "cell")) / (1 - 0.5 / (1 << lab.chip.capabilities.adc_bits - 1))
    return np.asarray((look(lab, n, every, burn, share) - middle * reach) / gain)


def references(chip: Chip) -> tuple[Floats, Floats]:
    """(converters,) what each converter makes of the two references, in units of its range."""
    read = [
        [float(np.mean(chip.adc_value(chip.convert(source, n=256, adc=k).codes, source))) for k in range(chip.capabilities.adc_count)]
        for source in ("reference-low", "reference-high")
    ]
    return np.array(read[0]), np.array(read[1])


def jackknife(planes: int, of: Callable[[slice | np.ndarray], Floats]) -> tuple[Floats, Floats]:
    """(value, error) of what `of` makes of a set of planes, leaving out one of 16 groups after the other; bias of order 1 / planes,
    which fits to noisy autocovariances have, is taken out (Quenouille)."""
    groups = np.array_split(np.arange(planes), min(16, planes))
    left = np.stack([of(np.setdiff1d(np.arange(planes), group)) for group in groups])
    n = len(groups)
    value = n * of(np.arange(planes)) - (n - 1) * left.mean(axis=0)
    return np.asarray(value), np.asarray(left.std(axis=0) * np.sqrt(n - 1))


def autocovariances(x: Floats, lags: int) -> Floats:
    """(lags + 1, planes, cells) of paths (n, planes, cells), about each cell's mean over all planes."""
    d = x - x.mean(axis=(0, 1))
    return np.stack([(d[: len(d) - k] * d[k:]).mean(axis=0) for k in range(lags + 1)])


# Autocorrelation


def relaxing(chip: Chip, bias: float = 0.0) -> Problem:
    """Cells left to themselves: J = 0, a = 1, and of Langevin cells a little b."""
    rest = {"gaussian": {"a": 1.0}, "langevin": SOFT}.get(chip.kind, {})
    return Problem(biases(chip, h=bias, **rest))


def autocorrelation(lab: Lab) -> Outcome:
    """How fast cells forget: relaxation times, or, of cells that ring, their frequency and quality."""
    chip = lab.chip
    relaxing(chip).put(chip)
    if chip.kind == "async-pbit":
        c = autocovariances(_spins(lab, lab.samples(400), 1.0), LAGS)
        return Outcome(_spin_times(chip, c))
    x = values(lab, lab.samples(300 if chip.capabilities.cells > 32 else 1500), 1, 40, 1.0)
    c = autocovariances(x, RING_LAGS)
    if rings(c):
        return Outcome(_ringing(chip, c), notes="the cells ring")
    return Outcome(_analog_times(chip, c))


def rings(c: Floats) -> bool:
    """Whether autocovariances (lags, planes, cells) swing to the other side."""
    return bool((c.mean(axis=(1, 2)) < -0.2 * c[0].mean()).any())


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

    def logs(planes: slice | np.ndarray) -> Floats:
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

    def times(planes: slice | np.ndarray) -> Floats:
        m = c[:, planes].mean(axis=1)
        return np.asarray(-tick_s(chip) / np.log(np.clip(m[2] / m[1], 0.01, 0.99)))

    each, error = jackknife(c.shape[1], times)
    mean, mean_error = jackknife(c.shape[1], lambda planes: np.asarray(times(planes).mean()))
    return [
        Measurement.of(
            "relaxation time of each cell", "cell.relaxation_s", each, error, "s", (SIGMAS + 1) * rms(error), np.arange(c.shape[2]),
            "cell",
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

    def fit(planes: slice | np.ndarray) -> Floats:
        return ring_fit(c[:, planes].mean(axis=1), tick_s(chip))

    both, error = jackknife(c.shape[1], fit)
    usual, cells = np.sqrt(np.mean(error**2, axis=1)), np.arange(c.shape[2])
    return [
        Measurement.of(
            "frequency at which each cell rings", "cell.ringing_hz", both[0], error[0], "Hz", SIGMAS * float(usual[0]), cells, "cell"
        ),
        Measurement.of("quality factor of each cell", "cell.quality", both[1], error[1], "", SIGMAS * float(usual[1]), cells, "cell"),
    ]


def kinetics(lab: Lab) -> Outcome:
    """How much faster cells forget under a bias: in Glauber kinetics not at all, in Arrhenius kinetics by its cosh."""
    chip, logs = lab.chip, []
    for bias in BIASES:
        relaxing(chip, bias).put(chip)
        c = autocovariances(_spins(lab, lab.samples(250), 1 / len(BIASES)), 2)
        logs.append(c)
    good = np.all([(c.mean(axis=1)[0] > 0.02) & (c.mean(axis=1)[1] > 0.1 * c.mean(axis=1)[0]) for c in logs], axis=0)

    def rates(planes: slice | np.ndarray) -> Floats:
        r = np.stack([c[:, planes].mean(axis=1)[1, good] / c[:, planes].mean(axis=1)[0, good] for c in logs])
        rate = -np.log(np.clip(r, 0.01, 0.99))
        return np.asarray(np.exp(np.log(rate / rate[0]).mean(axis=1)))

    speed, error = jackknife(logs[0].shape[1], rates)
    likely = "Glauber" if speed[-1] < np.sqrt(np.cosh(BIASES[-1])) else "Arrhenius"
    measurement = Measurement.of(
        "rate of relaxation over that at no bias, mean of the slower cells", "kinetics.rate", speed, error, "",
        SIGMAS * float(error.max()) + 0.02 * float(speed.max()), np.flatnonzero(good),
    )  # fmt: skip
    return Outcome([measurement], notes=f"biases {', '.join(map(str, BIASES))} kT; {likely}'s kinetics")


# Gaussian networks


def network_problem(chip: Chip, symmetric: bool) -> Problem:
    """A random stable stiffness matrix over all cells, a = 1.5, of spectral radius about .5 beside it; asymmetric: all cells hear
    those of higher number well and the others hardly."""
    n = chip.capabilities.cells
    rng, present = np.random.default_rng(6), np.zeros((n, n), bool)
    present[chip.topology.target, chip.topology.source] = True
    J = np.where(present, rng.normal(0, 0.25 / np.sqrt(max(1, present.sum() / n)), (n, n)), 0.0)
    J = (J + J.T) / np.sqrt(2) if symmetric else 1.6 * np.triu(J) + 0.2 * np.tril(J)
    return Problem(biases(chip, a=1.5), J, tuple(range(n)))


def gaussian_covariance(lab: Lab) -> Outcome:
    """Covariance matrices of a symmetric and of an asymmetric network."""
    measurements = []
    n = lab.chip.capabilities.cells
    upper = np.triu_indices(n)
    relaxing(lab.chip).put(lab.chip)
    resonators = rings(autocovariances(values(lab, 64, 1, 40, 0.1), 2 * LAGS))
    for symmetric in (True,) if resonators else (True, False):
        network_problem(lab.chip, symmetric).put(lab.chip)
        x = values(lab, lab.samples(250 if n > 32 else 1600), 4, 60, 0.9 if resonators else 0.45)
        d = x - x.mean(axis=(0, 1))
        each = np.einsum("kpi,kpj->pij", d, d) / len(d)
        C, error = over_planes(each)
        word = "symmetric" if symmetric else "asymmetric"
        measurements.append(
            Measurement.of(
                f"covariance of {n} cells, {word} couplings", f"gaussian.covariance.{word}", C[upper], error[upper], "",
                SIGMAS * rms(error) + 0.005 * float(C.max()), np.arange(len(upper[0])), "pair of cells",
            )
        )  # fmt: skip
    return Outcome(measurements, notes="RLC cells: asymmetric couplings would make them swing up" if resonators else "")


# Wells and mixtures


def well_problem(chip: Chip) -> Problem:
    """A double well in every cell, no couplings."""
    return Problem(biases(chip, **WELL))


def langevin_moments(lab: Lab) -> Outcome:
    """<x^2> and <x^4> in a double well."""
    relaxing(lab.chip).put(lab.chip)
    lab.chip.run(100)
    well_problem(lab.chip).put(lab.chip)
    x = values(lab, lab.samples(1500), 4, 40, 1.0)
    measurements = []
    for power in (2, 4):
        each, error = over_planes((x**power).mean(axis=0))
        mean, mean_error = over_planes((x**power).mean(axis=(0, 2)))
        good = ordinary(error)
        each, error, cells = each[good], error[good], good
        measurements += [
            Measurement.of(f"<x^{power}> of each cell", f"langevin.x{power}", each, error, "", SIGMAS * rms(error), cells, "cell"),
            Measurement.of(
                f"<x^{power}>, mean over cells", f"langevin.x{power}.mean", mean, mean_error, "",
                SIGMAS * float(mean_error) + 0.003 * float(mean),
            ),
        ]  # fmt: skip
    return Outcome(measurements, notes="V = -x^2/2 + x^4/4 at T = 1")


def mixture_problem(chip: Chip) -> Problem:
    """Modes of unequal weights, their means well apart."""
    modes = chip.capabilities.states
    terms = {f"w{k}": WEIGHTS[k % len(WEIGHTS)] for k in range(modes)} | {f"m{k}": MEANS[k % len(MEANS)] for k in range(modes)}
    return Problem(biases(chip, **terms))


def mixture(lab: Lab) -> Outcome:
    """How often cells are in each mode, and where they are then: values and modes read without a tick in between."""
    chip = lab.chip
    mixture_problem(chip).put(chip)
    modes, looks = chip.capabilities.states, lab.samples(400)
    low, high = references(chip)
    cells = np.arange(chip.capabilities.cells)
    reach = float(-chip.adc_value(0, "cell")) / (1 - 0.5 / (1 << chip.capabilities.adc_bits - 1))
    middle, gain = 0.5 * (low + high)[cells % len(low)], ((high - low) / (2 * REFERENCE))[cells % len(low)]
    count, total = np.zeros((2, chip.capabilities.planes, len(cells), modes))
    chip.run(100)
    for k in range(looks):
        if k % 16 == 0:
            pause(chip)
        chip.run(20)
        x, mode = (chip.read() - middle * reach) / gain, chip.read_states()
        here = mode[..., None] == np.arange(modes)
        count += here
        total += here * x[..., None]
        lab.step(1 / looks)
    p, p_error = over_planes(count / looks)
    m, m_error = jackknife(len(count), lambda planes: np.asarray(total[planes].sum(axis=0) / np.maximum(count[planes].sum(axis=0), 1)))
    return Outcome([
        Measurement.of("weights of the modes of each cell", "mixture.weights", p, p_error, "", SIGMAS * rms(p_error)),
        Measurement.of("mean of each mode of each cell", "mixture.means", m, m_error, "", (SIGMAS + 1) * rms(m_error)),
    ])  # fmt: skip


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
    return Outcome([measurement])


def _kinds(*names: str) -> frozenset[str]:
    return frozenset(names)


PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        "autocorrelation", "How fast cells forget",
        "Cells without couplings from tick to tick; -D / ln r at D of about .7 relaxation times, or, if they ring, a recurrence of "
        "two terms through the autocovariances. 5 to 6 standard errors (jackknife over planes), and up to 1 % for what passes couplers of "
        "code 0.", autocorrelation, _kinds("async-pbit", "gaussian", "langevin"),
    ),
    Procedure(
        "kinetics", "Kinetics", "Relaxation rates at biases of 0, .8 and 1.6 kT, in units of that at 0. 5 standard errors and 2 %.",
        kinetics, _kinds("async-pbit"),
    ),
    Procedure(
        "gaussian-covariance", "Covariance of Gaussian networks",
        "A random symmetric and a random asymmetric network over all cells. 5 standard errors and half a percent for the "
        "converters.", gaussian_covariance, _kinds("gaussian"), adc=True,
    ),
    Procedure(
        "langevin-moments", "Moments in a double well",
        "a = -1, b = 1, T = 1. 5 standard errors, and .3 % for the converters in the mean over cells.", langevin_moments,
        _kinds("langevin"), adc=True,
    ),
    Procedure(
        "mixture", "Weights and means of mixtures", "Values and modes of all cells at the same moments. 5 to 6 standard errors.",
        mixture, _kinds("mixture"), adc=True,
    ),
    Procedure(
        "noise-source", "Memory of the noise of p-bits",
        "Spins of uncoupled cells from sweep to sweep; 0 with ideal noise. 5 standard errors.", noise_source, _kinds("pbit"),
    ),
)  # fmt: skip
