"""The converters: linearity, noise and transfer of the ADCs; the DACs are in `dacs`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tsu_apps.characterise import dacs
from tsu_apps.characterise.captures import (
    REFERENCES,
    coherent_cycles,
    coherent_record,
    ends_of,
    power_of_two,
    spread_of,
)
from tsu_apps.characterise.figures import curves, label, panels
from tsu_apps.characterise.lab import Lab
from tsu_apps.characterise.measurement import Measurement, Outcome
from tsu_apps.characterise.procedure import Procedure
from tsu_apps.characterise.sine import (
    Linearity,
    histogram_error,
    noise_of_spread,
    sine_fit,
    sine_histogram,
    two_point_line,
)
from tsu_contract.capabilities import LSB_SCALE, TRIM_CODES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEASURED_ADCS = 2
"""Converters whose curves are measured, from the first on."""
HISTOGRAM, OVERDRIVE = 1 << 20, 1.02
FIT, FIT_SHARE = 1 << 14, 0.98
"""Samples of the sine fit, and its amplitude in half ranges of the converter."""
STEADY = 4096
"""Samples of each reference."""


def _adcs(lab: Lab) -> range:
    return range(min(MEASURED_ADCS, lab.chip.capabilities.adc_count))


def _sine_ends(lab: Lab, adc: int, share: float) -> tuple[float, float]:
    """Ends, in ranges, of a sine of that share of the converter's own range, about its middle."""
    ends = ends_of(lab, adc)
    middle, half = (ends.low + ends.high) / 2, share * (ends.high - ends.low) / 2
    return middle - half, middle + half


def _reference_line(lab: Lab) -> Outcome:
    """Offset, gain and noise of each measured converter."""
    measurements, histograms = [], []
    for adc in _adcs(lab):
        codes, shift = _dithered_references(lab, adc)
        histograms.append(codes[0].ravel())
        means, n = codes.mean(axis=(1, 2)) - shift, codes[0].size
        noise = noise_of_spread(float(np.mean(codes.var(axis=2, ddof=1))))
        offset, gain = two_point_line(means, REFERENCES, lab.chip.capabilities.adc_bits)
        error = math.sqrt((noise**2 + 1 / 12) / n)
        span = (REFERENCES[1] - REFERENCES[0]) * 2.0 ** (lab.chip.capabilities.adc_bits - 1)
        gain_error, offset_error = math.sqrt(2) * error / span, error * math.hypot(1 + 1 / 14, 1 / 14)
        measurements += [
            Measurement.of(f"offset of ADC {adc}", f"adc.{adc}.offset_lsb", offset, offset_error, "LSB", 5 * offset_error + 0.05),
            Measurement.of(f"gain of ADC {adc}", f"adc.{adc}.gain", gain, gain_error, "", 5 * gain_error + 0.1 / span),
            Measurement.of(
                f"noise of ADC {adc}", f"adc.{adc}.noise_lsb", noise, noise / math.sqrt(4 * n), "LSB",
                5 * noise / math.sqrt(4 * n) + 0.1 * noise + 0.01,
            ),
        ]  # fmt: skip
        lab.step(1 / len(_adcs(lab)))
    return Outcome(measurements, lambda: _draw_histograms(histograms))


def _dithered_references(lab: Lab, adc: int) -> tuple[NDArray[np.int64], float]:
    """(2, trims, samples) codes of both references at offset trims spread evenly over one LSB, and the trims' mean in LSB.

    The trims are put back.
    """
    chip, cap = lab.chip, lab.chip.capabilities
    batch = chip.batch()
    ticket = batch.read_window("ADC_TRIM")
    batch.execute()
    found = ticket.value.astype(np.int64)
    step_lsb = cap.adc_trim_offset * LSB_SCALE * 2.0 ** (cap.adc_bits - 1)
    steps = _steps_of_an_lsb(step_lsb)
    n = min(max(lab.samples(STEADY) // len(steps), 32), cap.adc_buffer)
    out = []
    for step in steps:
        offsets = np.clip(found[:, 0] + step, *TRIM_CODES)
        chip.set_adc_trims(offsets, found[:, 1])
        out.append([chip.convert(f"reference-{end}", n=n, adc=adc).codes.astype(np.int64) for end in ("low", "high")])
    chip.set_adc_trims(found[:, 0], found[:, 1])
    return np.swapaxes(np.array(out), 0, 1), step_lsb * float(np.mean(steps))


def _steps_of_an_lsb(step_lsb: float) -> list[int]:
    """Trim codes that spread an input evenly over one LSB, about 0; just 0 if trims are too coarse or too fine for that."""
    count = round(1 / step_lsb) if step_lsb > 0 else 1
    return [k - count // 2 for k in range(count)] if 1 < count <= -TRIM_CODES[0] else [0]


def _draw_histograms(histograms: list[NDArray[np.int64]]) -> Figure:
    figure, axes = panels(1, len(histograms), 2.6)
    for adc, (axis, codes) in enumerate(zip(axes, histograms, strict=True)):
        seen, counts = np.unique(codes, return_counts=True)
        axis.bar(seen, counts / codes.size, width=0.9, color="#1f5f8b")
        axis.xaxis.get_major_locator().set_params(integer=True)
        label(axis, f"ADC {adc}: low reference, all offset trims within an LSB", "code", "share of samples")
    return figure


def _linearity(lab: Lab) -> Outcome:
    """INL and DNL of each measured converter."""
    bits, n = lab.chip.capabilities.adc_bits, power_of_two(lab.samples(HISTOGRAM))
    n = max(n, 1 << bits + 5)
    codes, found, measurements = np.arange(1, 1 << bits), [], []
    for adc in _adcs(lab):
        record = coherent_record(lab, adc, n, *_sine_ends(lab, adc, OVERDRIVE))
        line = sine_histogram(record, coherent_cycles(n), bits)
        error = histogram_error(n, bits, OVERDRIVE, spread_of(lab, adc))
        found.append(line)
        step_error = np.hypot(error[1:], error[:-1])
        measurements += [
            Measurement.of(
                f"INL of ADC {adc}, best line", f"adc.{adc}.inl", line.inl, error, "LSB", 5 * error.max() + 0.02, codes, "code"
            ),
            Measurement.of(
                f"DNL of ADC {adc}",
                f"adc.{adc}.dnl",
                line.dnl,
                step_error,
                "LSB",
                5 * step_error.max() + 0.02,
                codes[:-1],
                "code",
            ),
        ]
        lab.step(1 / len(_adcs(lab)))
    return Outcome(measurements, lambda: _draw_linearity(codes, found))


def _draw_linearity(codes: NDArray[Any], found: list[Linearity]) -> Figure:
    figure, (inl, dnl) = panels(2, 1, 2.4)
    curves(inl, codes, [(f"ADC {adc}", line.inl) for adc, line in enumerate(found)])
    curves(dnl, codes[:-1], [(f"ADC {adc}", line.dnl) for adc, line in enumerate(found)])
    label(inl, "Integral nonlinearity, about the best line", "code", "INL  (LSB)")
    label(dnl, "Differential nonlinearity", "code", "DNL  (LSB)")
    return figure


def _enob(lab: Lab) -> Outcome:
    """Effective bits of each measured converter."""
    bits, n = lab.chip.capabilities.adc_bits, power_of_two(lab.samples(FIT))
    error, measurements, records = 1 / (math.log(2) * math.sqrt(2 * n)), [], []
    for adc in _adcs(lab):
        record = coherent_record(lab, adc, n, *_sine_ends(lab, adc, FIT_SHARE))
        enob = sine_fit(record, coherent_cycles(n), bits).enob
        records.append(record)
        measurements.append(Measurement.of(f"ENOB of ADC {adc}", f"adc.{adc}.enob", enob, error, "bit", 4 * error + 0.02))
        lab.step(1 / len(_adcs(lab)))
    return Outcome(measurements, lambda: _draw_spectra(records))


def _draw_spectra(records: list[NDArray[np.uint16]]) -> Figure:
    """Power of the records, in dB of the sine's."""
    figure, (axis,) = panels(1, 1, 2.8)
    series = []
    for adc, record in enumerate(records):
        power = np.abs(np.fft.rfft(record - record.mean()))[1:] ** 2
        series.append((f"ADC {adc}", 10 * np.log10(np.maximum(power / power.max(), 1e-12))))
    frequency = np.arange(1, len(records[0]) // 2 + 1) / len(records[0])
    curves(axis, frequency, series)
    label(axis, "Spectrum of the sine", "frequency  (of the sampling rate)", "power  (dB of the sine)")
    return figure


PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        "adc-references",
        "ADC offset, gain, noise",
        "Both references, 4,096 samples each, at offset trims spread over one LSB, so that rounding averages out. Offset and "
        "gain are those of the line through the two points; noise is what spreads the codes beyond rounding. Accepted: 5 "
        "standard errors sqrt((noise^2 + 1/12) / N), and .05 LSB (noise: 10 %) for unequal steps near the references.",
        _reference_line,
        adc=True,
    ),
    Procedure(
        "adc-linearity",
        "ADC nonlinearity",
        "Histogram of a coherent sine that overdrives the converter's own ends by 2 %, 2^20 samples. INL is about the "
        "least-squares line. Accepted: 5 standard errors, sqrt(noise rho / sqrt(pi) + 1/3) / rho for rho samples in an LSB, "
        "and .02 LSB; for 10 bits and half an LSB of noise that is .15 LSB.",
        _linearity,
        adc=True,
        instruments=True,
    ),
    Procedure(
        "adc-enob",
        "ADC effective bits",
        "Least-squares sine through a coherent record of 2^14 samples at 98 % of the range. Accepted: 4 standard errors "
        "1 / (ln 2 sqrt(2 N)), and .02 bit: .05 bit in all.",
        _enob,
        adc=True,
        instruments=True,
    ),
    *dacs.PROCEDURES,
)  # fmt: skip
