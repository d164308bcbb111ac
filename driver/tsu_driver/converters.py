"""The converters: captures of what the multiplexer selects, what codes stand for, trims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_contract.capabilities import RANGE_SCALE, TRIM_CODES, Capabilities
from tsu_contract.program import Instruction, Opcode
from tsu_driver.batch import Batch
from tsu_driver.bus import Bus
from tsu_driver.errors import HostError
from tsu_driver.names import integer
from tsu_driver.programs import PERIOD
from tsu_driver.runner import CTRL, Runner, add_start
from tsu_driver.tickets import Ticket

SOURCES = {
    "cell": "CELL",
    "coupling": "COUPLING_DAC",
    "bias": "BIAS_DAC",
    "temperature": "TEMP_DAC",
    "reference-low": "REF_LOW",
    "reference-high": "REF_HIGH",
    "external": "EXTERNAL",
}
"""What a capture can convert, and its label in ADC.MUX."""

TRIMS = "ADC_TRIM"
EACH, FEW = 5, 16
"""Operations of an element of `each`: ELEMENT, PC, START, WAIT, fetch; and of what goes before and after."""
CONVERSIONS = 100_000
"""Conversions in a message of `each`."""


@dataclass(frozen=True)
class Capture:
    """Samples of one input.

    codes : (n,) uint16; cycle : chip cycle at which sample 0 was held, sample k being held at cycle + k period; period : cycles
    """

    codes: NDArray[np.uint16]
    cycle: int
    period: int


def input_of(codes: ArrayLike, source: str, capabilities: Capabilities) -> NDArray[np.float64]:
    """What ADC codes of a source stand for, in the source's unit: the middle of each code's step."""
    _check_source(source)
    reach = {
        "cell": capabilities.range_cell * RANGE_SCALE,
        "coupling": capabilities.range_coupling * RANGE_SCALE,
        "bias": capabilities.range_bias * RANGE_SCALE,
        "temperature": capabilities.range_temp * RANGE_SCALE,
    }.get(source, 1.0)
    half = float(1 << capabilities.adc_bits - 1)
    values: NDArray[np.float64] = ((np.asarray(codes) + 0.5) / half - 1.0) * reach
    return values


class Converters:
    """The ADCs of one chip."""

    def __init__(self, bus: Bus, runner: Runner) -> None:
        self._bus, self._runner = bus, runner
        self._latency: int | None = None

    def capture(self, source: str, element: int, n: int, adc: int, period: int | None, at: int | None) -> Capture:
        """n samples in one message, START issued not before cycle `at`.

        With t the cycle at which the write of START acts, ADC_CAPTURE is fetched at t + CAP.INSTRUCTION_CYCLES and holds its
        first sample CAP.ADC_ACQUIRE_CYCLES later. Two looks at SYS.CYCLE, of two operations each, go before START: it acts as
        long after the second look as that after the first, or, if the link had to wait for `at`, the link's latency after `at`.
        """
        self.require()
        n, adc, period = self._checked(source, element, n, adc, period)
        latency = 0 if at is None else self._latency_of_link()
        cap, loaded = self._bus.capabilities, self._runner.prepare([Instruction(Opcode.ADC_CAPTURE, n)], period)
        self._runner.check_idle()
        batch = self._bus.batch()
        batch.write("ADC.MUX", SOURCE=SOURCES[source], CONVERTER=adc)
        batch.write("ADC.ELEMENT", element)
        batch.write(PERIOD, period)
        self._runner.load(batch, loaded)
        batch.write("SEQ.PC", 0)
        batch.fence()
        first, second = batch.read("SYS.CYCLE"), batch.read("SYS.CYCLE")
        if at is not None:
            batch.delay_until(at)
        batch.write(CTRL, START=1)
        tickets: list[Ticket[NDArray[Any]]] = []

        def fetch(last: Batch) -> None:
            tickets.append(last.read_window("ADC_DATA", 0, min(n + n % 2, cap.adc_buffer)))

        self._runner.complete(batch, loaded, fetch)
        self._bus.shadow[PERIOD] = period
        started = 2 * second.value - first.value
        if at is not None:
            started = max(started, at + latency)
        codes = tickets[-1].value.reshape(-1)[:n].copy()
        return Capture(codes, started + cap.instruction_cycles + cap.adc_acquire_cycles, period)

    def each(self, source: str, elements: ArrayLike, n: int, adc: int) -> NDArray[np.uint16]:
        """(elements, n) codes, as many elements in a message as it may hold."""
        self.require()
        numbers = np.atleast_1d(np.asarray(elements))
        for end in (numbers.min(), numbers.max()) if numbers.size else ():
            n, adc, period = self._checked(source, int(end), n, adc, None)
        if not numbers.size:
            return np.empty((0, n), np.uint16)
        limits = self._bus.session.limits
        most = min((limits.operations - FEW) // EACH, limits.blocks - 1, max(1, CONVERSIONS // n))
        parts = [self._some(source, numbers[k : k + most], n, adc, period) for k in range(0, len(numbers), most)]
        return np.concatenate(parts)

    def _some(self, source: str, elements: NDArray[Any], n: int, adc: int, period: int) -> NDArray[np.uint16]:
        """As `each`, in one message."""
        program = self._runner.prepare([Instruction(Opcode.ADC_CAPTURE, n)], period)
        self._runner.check_idle()
        batch, tickets = self._bus.batch(), []
        batch.write("ADC.MUX", SOURCE=SOURCES[source], CONVERTER=adc)
        batch.write(PERIOD, period)
        self._runner.load(batch, program)
        fetched = min(n + n % 2, self._bus.capabilities.adc_buffer)
        for element in elements[:-1].tolist():
            batch.write("ADC.ELEMENT", element)
            add_start(batch)
            self._runner.add_wait(batch, program)
            tickets.append(batch.read_window("ADC_DATA", 0, fetched))
        batch.write("ADC.ELEMENT", int(elements[-1]))
        add_start(batch)

        def fetch(last: Batch) -> None:
            tickets.append(last.read_window("ADC_DATA", 0, fetched))

        self._runner.complete(batch, program, fetch)
        self._bus.shadow[PERIOD] = period
        held = [*tickets[: len(elements) - 1], tickets[-1]]
        return np.stack([t.value.reshape(-1)[:n] for t in held]).astype(np.uint16)

    def set_trims(self, offsets: ArrayLike, gains: ArrayLike) -> None:
        """Write the trims of all converters."""
        self.require()
        shape, (low, high) = (self._bus.capabilities.adc_count,), TRIM_CODES
        codes = np.empty((*shape, 2), np.int16)
        for k, (name, given) in enumerate((("offset", np.asarray(offsets)), ("gain", np.asarray(gains)))):
            if given.dtype.kind not in "iu" or given.shape not in ((), shape):
                raise HostError(f"{name} trims are codes, one integer or {shape}; got {given.dtype} of shape {given.shape}")
            if ((given < low) | (given > high)).any():
                wrong = given.flat[int(np.argmax((given < low) | (given > high)))]
                raise HostError(f"{name} trim {wrong} is not in {low} .. {high}")
            codes[:, k] = given
        batch = self._bus.batch()
        batch.write_window(TRIMS, codes)
        batch.execute()

    def hold(self, held: bool) -> None:
        """Choose the scan mode."""
        self.require()
        self._bus.write_register("ADC.MODE", HOLD=int(held))

    def value(self, codes: ArrayLike, source: str) -> NDArray[np.float64]:
        """As `input_of`, for this chip."""
        self.require()
        return input_of(codes, source, self._bus.capabilities)

    def require(self) -> None:
        """HostError if the chip has no converters."""
        if not self._bus.capabilities.adc_count:
            raise HostError("this chip has no converters (CAP.ADC_COUNT is 0)")

    def _checked(self, source: str, element: int, n: int, adc: int, period: int | None) -> tuple[int, int, int]:
        """(n, adc, period) as integers in range; HostError names what is not."""
        cap = self._bus.capabilities
        _check_source(source)
        inputs = {"cell": cap.dimension("value_cells"), "coupling": cap.couplers, "bias": cap.cells * cap.terms}.get(source, 1)
        n, adc, period = (
            integer(n, "n"),
            integer(adc, "adc"),
            cap.adc_cycles if period is None else integer(period, "period"),
        )
        if not 0 <= integer(element, "element") < inputs:
            has = f"has {inputs}" if inputs else "has none"
            raise HostError(f"there is no element {element} of the source {source!r}; this chip {has}")
        if not 1 <= n <= cap.adc_buffer:
            raise HostError(f"n = {n} samples; a capture takes 1 .. {cap.adc_buffer} (CAP.ADC_BUFFER)")
        if not 0 <= adc < cap.adc_count:
            raise HostError(f"there is no converter {adc}; the chip has {cap.adc_count}")
        if period < cap.adc_cycles:
            raise HostError(f"a period of {period} cycles is too short; a conversion takes {cap.adc_cycles}")
        return n, adc, period

    def _latency_of_link(self) -> int:
        """Cycles from the issue of an operation until it acts on a register, as two messages tell; asked once."""
        if self._latency is None:
            before = self._bus.batch()
            before.fence()
            before.execute()
            batch = self._bus.batch()
            now = batch.read("SYS.CYCLE")
            outcome = batch.execute()
            self._latency = now.value - outcome.t_start
        return self._latency


def _check_source(source: str) -> None:
    if source not in SOURCES:
        raise HostError(f"there is no source {source!r}; there are {', '.join(SOURCES)}")
