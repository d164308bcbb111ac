"""The chip as a Python object: each verb in one place, its thought in a module of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_contract.extension import BASE, RegisterMap
from tsu_contract.program import Instruction, Opcode
from tsu_driver import correlator, couplings, sampling
from tsu_driver.converters import Capture, Converters
from tsu_driver.cooling import end_schedule, set_temperature, temperature_scale
from tsu_driver.correlator import Correlations
from tsu_driver.couplings import Programmed, Quantised
from tsu_driver.energy import Energy, read_energy
from tsu_driver.links import Link
from tsu_driver.names import word
from tsu_driver.planes import ENABLE, Planes, enable, planes_in, set_multipliers, set_scan_order
from tsu_driver.programs import schedule_programs
from tsu_driver.runner import RunResult
from tsu_driver.schedules import Schedule
from tsu_driver.trims import Trimmed

SENSOR_STEPS = 64
"""Steps of TEMP.SENSOR in a kelvin."""


class Chip(Trimmed):
    """A thermodynamic sampling unit: cells of one kind, in planes that share couplings and biases.

    Made by `tsu_driver.open`; a context manager. Not for several threads, and for one host at a time: what was written
    to the chip is remembered here and not read again.
    """

    def __init__(
        self, link: Link, *, timeout_s: float = 30.0, closed: Callable[[], None] | None = None, registers: RegisterMap = BASE
    ) -> None:
        """As `Connection`."""
        super().__init__(link, timeout_s=timeout_s, closed=closed, registers=registers)
        self._converters = Converters(self._bus, self._runner)

    # The problem

    def program_couplings(self, J: Any = None, h: ArrayLike | None = None, *, corrected: bool = True) -> Programmed:
        """Write couplings and biases, in kT at T = 1, and wait until the DACs have settled.

        J : (cells, cells) array or scipy.sparse matrix, J[i, j] being what cell i hears of cell j (symmetric or not);
            or an edge list (pairs (m, 2) int, values (m,)), each value going both ways. Couplers not named get 0; None: all.
        h : (cells,) biases or, if a cell has several `terms`, (cells, terms); None for 0
        With a calibration applied, codes make up for the errors of couplers that it knows, unless `corrected` is
        False, and go round bits that are stuck.
        Values beyond the code range are clipped and counted; the others are rounded to the nearest code, half to even.
        HostError names a value that is not finite, on the diagonal, named twice in an edge list, or without a coupler.
        The learning engine's accumulators stay as they are, and its next update writes codes of its own: `set_weights` sets both.
        """
        return couplings.program(self._bus, self.topology, J, h, corrected)

    def program_matrix(self, A: Any, h: ArrayLike | None = None) -> Programmed:
        """Program gaussian cells with E = 1/2 x^T A x - h^T x at T = 1, so that x has mean A^-1 h and covariance T A^-1.

        A : (cells, cells) symmetric positive definite, array or scipy.sparse matrix; the terms a are its diagonal, the couplings
            the others with their sign turned
        h : (cells,), None for 0
        As `program_couplings`; HostError says why A is not such a matrix.
        """
        J, terms = couplings.gaussian_problem(self._bus, A, h)
        return self.program_couplings(J, terms)

    def quantise_couplings(self, values: ArrayLike) -> Quantised:
        """Codes of coupling values in kT at T = 1, any shape; nothing is written."""
        return couplings.quantise_couplings(self._bus, values)

    def quantise_biases(self, values: ArrayLike) -> Quantised:
        """Codes of bias values in kT at T = 1, any shape; nothing is written."""
        return couplings.quantise_biases(self._bus, values)

    def clamp(self, cells: ArrayLike, values: ArrayLike, planes: Planes | None = None) -> None:
        """Pin cells from the next sweep on; other clamps stay.

        cells : (k,) cell numbers, each once
        values : (k,) for all planes or (planes, k) in the order of `planes`. p-bits: -1, +1 or bool; pdits: states; analog cells:
            values within the readout range, which go to the nearest of its 4096 steps
        planes : numbers, or the first n; None for all
        """
        self._clamps.set(cells, values, planes)

    def unclamp(self, cells: ArrayLike | None = None, planes: Planes | None = None) -> None:
        """Release cells (None: all) in planes (None: all)."""
        self._clamps.clear(cells, planes)

    # Temperature and planes

    def set_temperature(self, temperature: float) -> float:
        """Set T to the nearest code; returns the T of that code, both as an applied calibration has them. HostError names the
        range if T is outside.

        A schedule that `schedule` began ends with it.
        """
        return set_temperature(self._bus, temperature)

    def enable_planes(self, planes: Planes) -> None:
        """Enable these planes (numbers, or the first n) and no others; the others keep their spins."""
        enable(self._bus, planes)

    @property
    def enabled_planes(self) -> NDArray[np.int64]:
        """Enabled planes, ascending."""
        return planes_in(self._bus, ENABLE).copy()

    def plane_temperatures(self, multipliers: ArrayLike) -> NDArray[np.float64]:
        """Multiply T by one number, or by one for each plane, (planes,); returns the multipliers that could be set."""
        return set_multipliers(self._bus, multipliers)

    def set_scan_order(self, order: str) -> None:
        """Order of the colour phases from the next sweep on: "chromatic", "palindromic" or "random".

        Chromatic, as at power-on, has the right stationary law but is not reversible. A palindromic pair of sweeps, of even and
        then odd index, is; so is a random sweep, whose phases draw their colours. HostError for any other word.
        """
        set_scan_order(self._bus, order)

    # Running

    def run(self, sweeps: int) -> RunResult:
        """Do so many sweeps in all enabled planes, 0 to 4,294,967,295."""
        return self._runner.execute([Instruction(Opcode.RUN, word(sweeps, "sweeps"))])

    def anneal(self, schedule: Schedule) -> RunResult:
        """Run a schedule; the temperature stays where it ends. It takes several programs if program memory is small.

        T are as an applied calibration has them. A schedule that `schedule` began ends with it.
        """
        programs = schedule_programs(schedule.steps(*temperature_scale(self._bus)), self.capabilities.program_words)
        end_schedule(self._bus)
        results = [self._runner.execute(program) for program in programs]
        cycles = sum(r.cycles for r in results)
        return RunResult(
            cycles,
            self._bus.seconds(cycles),
            sum(r.sweeps for r in results),
            sum(r.energy_j for r in results),
            sum(r.physical_s for r in results),
        )

    def read(self, stale_ok: bool = False) -> NDArray[Any]:
        """(planes, cells) of all planes as they are now: int8 spins, -1 or +1; uint8 states of pdits; float64 values of analog
        cells, NaN in planes that are not enabled, for a scan converts enabled planes alone.

        StaleSamples if weights were written after the last sweep, so that spins or states are not samples of them, unless
        stale_ok; those of power-on may be read until this session writes weights. Analog values are not checked.
        """
        return sampling.read_cells(self._bus, self._runner, sampling.view_of(self.capabilities), stale_ok)

    def read_states(self, stale_ok: bool = False) -> NDArray[np.uint8]:
        """(planes, cells) states of pdits or modes of mixture cells as they are now; HostError for other kinds.

        StaleSamples as in `read`.
        """
        return sampling.read_cells(self._bus, self._runner, sampling.state_view(self.capabilities), stale_ok)

    def sample(self, n: int, every: int = 1, burn: int = 0, stale_ok: bool = False) -> NDArray[Any]:
        """(n, enabled planes, cells), typed as in `read`: after `burn` sweeps, n times `every` sweeps (ticks) and a look.

        Only enabled planes are in the result, in ascending order. With neither `every` nor `burn` StaleSamples as in `read`.
        """
        return sampling.sample(self._bus, self._runner, sampling.view_of(self.capabilities), n, every, burn, stale_ok)

    # Converters

    def convert(
        self, source: str, element: int = 0, n: int = 1, adc: int = 0, period: int | None = None, at: int | None = None
    ) -> Capture:
        """Capture n samples of one input with one converter; HostError if they exceed the buffer, CAP.ADC_BUFFER.

        source : "cell" (of the lowest enabled plane), "coupling", "bias", "temperature", "reference-low", "reference-high" (-7/8
            and +7/8 of the range) or "external"; element : which cell, coupler or bias DAC (term k of cell i is terms i + k)
        period : cycles from a sample to the next, at least CAP.ADC_CYCLES; None for that
        at : chip cycle before which START is not issued, so that captures fall on a grid of time; None for at once
        The result says at which cycle the first sample was held, reckoned from the chip's own clock and timing registers.
        """
        return self._converters.capture(source, element, n, adc, period, at)

    def convert_each(self, source: str, elements: ArrayLike, n: int = 1, adc: int = 0) -> NDArray[np.uint16]:
        """(elements, n) codes of n samples of each of several elements of a source, one after the other, with one converter.

        As `convert`, many in a message: for tests and calibrations that look at every DAC.
        """
        return self._converters.each(source, elements, n, adc)

    def adc_value(self, codes: ArrayLike, source: str) -> NDArray[np.float64]:
        """What codes of a source stand for: cell values; kT at T = 1 of couplings and biases; T of the temperature DAC; for
        references and the external pin the share of the range, -1 .. 1."""
        return self._converters.value(codes, source)

    def set_adc_trims(self, offsets: ArrayLike, gains: ArrayLike) -> None:
        """Trim all converters: codes -64 .. 63, one or (converters,) each, in steps of CAP.ADC_TRIM_OFFSET and _GAIN."""
        self._converters.set_trims(offsets, gains)

    def hold(self, held: bool) -> None:
        """True, as at power-on: a conversion sees cells as they were at its start. False: they live on meanwhile."""
        self._converters.hold(held)

    # Heat, energy, time

    def die_temperature(self) -> float:
        """What the die's temperature sensor shows, in K."""
        return self.read_register("TEMP.SENSOR") / SENSOR_STEPS

    def energy(self) -> Energy:
        """What the chip has spent since power-on, by cause."""
        return read_energy(self._bus)

    def physical_time(self) -> float:
        """Seconds since power-on in which the array was at work: sweeps and conversions, no bus, programming or waiting."""
        return self._bus.seconds(self.read_register("MON.PHYS_TIME"))

    # Correlations

    def configure_correlator(
        self, *, data_planes: Planes, free_planes: Planes, tau_data: float, tau_free: float, period: int = 1
    ) -> None:
        """Give planes their roles, set averaging times, clear the accumulators and enable them.

        tau_data, tau_free : time constants of the averages, in updates, 1 .. 131071; 1 keeps the last update only
        period : sweeps from one update to the next
        """
        correlator.configure(self._bus, data_planes, free_planes, tau_data, tau_free, period)

    def correlations(self, stale_ok: bool = False, same_weights: bool = False) -> Correlations:
        """Latch the accumulators and read them as averages.

        StaleSamples if the host wrote weights after the last of the updates, unless stale_ok. The averages of a program that
        learns are of many versions of the weights, as `versions` tells; with same_weights, StaleSamples unless all updates had
        the weights that the chip holds.
        """
        return correlator.read(self._bus, stale_ok, same_weights)
