"""Built-in self-test through the pins: cells that do not follow, DAC bits that are stuck, converters that are dead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsu_apps.calibrate.converters import ALIVE
from tsu_apps.calibrate.loud import stuck_by_cells
from tsu_apps.calibrate.work import Floats, Work
from tsu_apps.characterise.cells import DRIVE, fault_of
from tsu_apps.characterise.problems import LOOSE, SPINS, biases
from tsu_apps.characterise.readings import pause
from tsu_contract.capabilities import LSB_SCALE

CELL_SAMPLES = 40 * 64
"""Samples of each cell under either drive."""
CAPTURES = 4
"""Conversions of an output."""
RETESTS = 3
"""Times that a suspect is looked at again, levels having been written anew meanwhile; it is stuck if it never moves."""
STEP = 0.5
"""Share of a bit's weight by which its step must move the output."""
CELL_FAULTS = ("works", "stuck down", "stuck up", "deaf")


@dataclass(frozen=True)
class SelfTest:
    """What was found.

    cells : (cells,) 0 works, 1 stuck down, 2 stuck up, 3 hears nothing; 0 of cells that are no spins, which are not looked at
    coupling_bits, bias_bits : (DACs,) masks of bits that do not move their output; without a converter that works none of biases,
        and of couplings those that keep them from 0, as cells hear them
    coupling_at, bias_at : (DACs,) what those bits are stuck at; bits count in the code as an unsigned number
    converters : (converters,) bool, whether they see their references
    cycles : chip time that it took
    """

    cells: NDArray[np.int64]
    coupling_bits: NDArray[np.int64]
    bias_bits: NDArray[np.int64]
    coupling_at: NDArray[np.int64]
    bias_at: NDArray[np.int64]
    converters: NDArray[np.bool_]
    cycles: int

    @property
    def good(self) -> NDArray[np.bool_]:
        """(cells,) that work and whose bias DAC does."""
        bias = self.bias_bits.reshape(len(self.cells), -1).any(axis=1)
        return np.asarray((self.cells == 0) & ~bias)

    @property
    def stuck(self) -> NDArray[np.uint32]:
        """Couplers with stuck bits, as `Calibration.stuck` has them."""
        return _rows(self.coupling_bits, self.coupling_at).astype(np.uint32)

    @property
    def stuck_biases(self) -> NDArray[np.int64]:
        """(m, 3) rows (bias DAC, mask, value), as those of couplers."""
        return _rows(self.bias_bits, self.bias_at)

    def lines(self) -> list[str]:
        """A line for everything that does not work."""
        out = [f"cell {i}: {CELL_FAULTS[self.cells[i]]}" for i in np.flatnonzero(self.cells).tolist()]
        for what, masks in (("coupling", self.coupling_bits), ("bias", self.bias_bits)):
            out += [f"{what} DAC {e}: bits {bits_of(int(masks[e]))} do not move" for e in np.flatnonzero(masks).tolist()]
        return out + [f"converter {k}: does not see its references" for k in np.flatnonzero(~self.converters).tolist()]


def _rows(masks: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.int64]:
    at = np.flatnonzero(masks)
    return np.stack([at, masks[at], values[at]], axis=1)


def bits_of(mask: int) -> list[int]:
    """Numbers of the bits that are set."""
    return [k for k in range(mask.bit_length()) if mask >> k & 1]


def self_test(work: Work) -> SelfTest:
    """Drive every cell to both sides; walk a one through every DAC; look at the references."""
    start = work.chip.time_cycles
    cells = _cells(work)
    converters = _converters(work)
    (coupling, coupling_at), (bias, bias_at) = (_stuck_bits(work, bank, converters) for bank in ("coupling", "bias"))
    if not converters.any() and work.chip.kind in SPINS:
        coupling, coupling_at = stuck_by_cells(work, cells == 0)
    return SelfTest(cells, coupling, bias, coupling_at, bias_at, converters, work.chip.time_cycles - start)


def _cells(work: Work) -> NDArray[np.int64]:
    """Faults of cells that are spins; of others none are looked for."""
    work.quiet()
    if work.chip.kind not in SPINS:
        return np.zeros(work.chip.capabilities.cells, np.int64)
    seen = []
    for drive in (-DRIVE, DRIVE):
        work.loosen(biases(work.chip, h=drive))
        seen.append(work.means(work.samples(CELL_SAMPLES), 0.1).mean(axis=0))
    return fault_of(*seen)


def _converters(work: Work) -> NDArray[np.bool_]:
    """Which converters see that their references differ."""
    chip = work.chip
    seen = [
        [np.mean(chip.adc_value(chip.convert(f"reference-{end}", n=16, adc=k).codes, "external")) for end in ("low", "high")]
        for k in range(chip.capabilities.adc_count)
    ]
    return np.array([high - low > ALIVE * 1.75 for low, high in seen], np.bool_)


def _stuck_bits(work: Work, bank: str, converters: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(masks of bits that do not move their DAC's output, what they are stuck at); none are looked for without a converter that
    works.

    A one walks from the middle code, whose output is near 0, so that the droop of stored levels hardly matters; the greatest bit
    is set there and goes off. What they are stuck at is what comes nearest to the output of the middle code: of a bit no greater
    than the DAC's offset nobody can tell, and the coupler's offset, as it is then measured, makes up for it.
    """
    chip, cap = work.chip, work.chip.capabilities
    coupling = bank == "coupling"
    count, bits = (cap.couplers, cap.coupling_bits) if coupling else (cap.cells * cap.terms, cap.bias_bits)
    stuck = np.zeros(count, np.int64)
    if not converters.any() or not count:
        return stuck, stuck
    lsb, adc = (cap.coupling_lsb if coupling else cap.bias_lsb) * LSB_SCALE, int(np.argmax(converters))
    every = np.arange(count)
    middle = _outputs(work, bank, 0, adc, every)
    for bit in range(bits):
        code = 1 << bit if bit < bits - 1 else -(1 << bit)
        suspects = every[abs(_outputs(work, bank, code, adc, every) - middle) < STEP * lsb * 2**bit]
        for _ in range(RETESTS):
            if len(suspects):
                pause(chip)
                moved = _outputs(work, bank, code, adc, suspects) - _outputs(work, bank, 0, adc, suspects)
                suspects = suspects[abs(moved) < STEP * lsb * 2**bit]
        stuck[suspects] |= 1 << bit
        work.step(0.4 / bits)
    chip.program_couplings(LOOSE, corrected=False)
    at, codes, half = np.zeros(count, np.int64), np.arange(1 << bits), 1 << bits - 1
    for e in np.flatnonzero(stuck).tolist():
        legal = codes[(codes ^ half) & ~stuck[e] == 0]
        at[e] = legal[abs((legal - half) * lsb - middle[e]).argmin()] & stuck[e]
    return stuck, at


def _outputs(work: Work, bank: str, code: int, adc: int, elements: NDArray[np.int64]) -> Floats:
    """Outputs of some DACs of a bank at one code that all DACs of it have, kT."""
    chip, cap = work.chip, work.chip.capabilities
    count = cap.couplers if bank == "coupling" else cap.cells * cap.terms
    batch = chip.batch()
    batch.write_window("COUPLING" if bank == "coupling" else "BIAS", np.full(count, code, np.int16))
    batch.wait_field("FABRIC.STATUS.SETTLED", 1, max_cycles=cap.settle_cycles + 1)
    batch.execute()
    codes = chip.convert_each(bank, elements, CAPTURES, adc)
    return np.asarray(chip.adc_value(codes, bank).mean(axis=1))
