"""The learning engine and weight versions; docs/theory-of-operation.md and docs/arithmetic.md, "Learning"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tsu_contract.registers import REGISTERS
from tsu_emu.config import ChipConfig

from . import noise
from .blocks import Block
from .fabric import Correlator, Fabric

ROUND_WEIGHT, ROUND_CODE, CLEAR = 1, 2, 4
"""Bits of LEARN.CTRL."""

TERMS = 8
DATA, FREE = 0, 1

PAIRS, BIASES = 0, 1
"""Kinds of accumulators in the engine's noise."""

OF_WEIGHT, OF_CODE, OF_RANDOM = range(3)
"""Purposes of the engine's noise."""

S_MAX = 1 << 46


def factor_names(register: str) -> dict[int, str]:
    """Names of the factors of PAIR_TERM or BIAS_TERM, which number them."""
    return {value: name for name, value in REGISTERS[register].fields["FIRST"].values.items()}


PAIR_FACTORS, BIAS_FACTORS = factor_names("LEARN.PAIR_TERM"), factor_names("LEARN.BIAS_TERM")


@dataclass
class Bank:
    """Accumulators of one kind, whether each is frozen, and the width of its DAC's codes."""

    kind: int
    accumulators: list[int]
    frozen: list[int]
    dac_bits: int

    def is_frozen(self, element: int) -> bool:
        return bool(self.frozen[element // 32] >> element % 32 & 1)


class Learning(Block):
    """Accumulators, the rule, and LEARN; also the versions, which the LEARN block shows."""

    SINCE_POWER_ON = ("UPDATES", "VERSION", "SPIN_VERSION", "SPIN_CRC", "CORR_FIRST", "CORR_VERSION", "CORR_CRC")

    def __init__(self, config: ChipConfig, fabric: Fabric, correlator: Correlator) -> None:
        super().__init__("LEARN.", kept=tuple("LEARN." + name for name in self.SINCE_POWER_ON))
        self.fabric = fabric
        self.correlator = correlator
        self.bits = config.learning.bits
        graph = fabric.graph
        pairs, cells = (len(graph.pairs), graph.cells) if self.bits else (0, 0)
        self.pair = Bank(PAIRS, [0] * pairs, [0] * ((pairs + 31) // 32), config.coupling.dac.bits)
        self.bias = Bank(BIASES, [0] * cells, [0] * ((cells + 31) // 32), config.bias.dac.bits)
        self.couplers = [(self._coupler(i, j), self._coupler(j, i)) for i, j in graph.pairs]

    def _coupler(self, target: int, source: int) -> int:
        graph = self.fabric.graph
        return graph.row[target] + graph.source[graph.row[target] : graph.row[target + 1]].index(source)

    # Registers.

    def value(self, name: str, index: int = 0) -> int:
        match name:
            case "LEARN.VERSION":
                return self.fabric.version
            case "LEARN.SPIN_VERSION":
                return self.fabric.spin_weights.version
            case "LEARN.SPIN_CRC":
                return self.fabric.spin_weights.crc
            case "LEARN.CORR_FIRST":
                return self.correlator.first_window
            case "LEARN.CORR_VERSION":
                return self.correlator.last_window.version
            case "LEARN.CORR_CRC":
                return self.correlator.last_window.crc
        return super().value(name, index)

    def write(self, name: str, index: int, bits: int, value: int, now: int) -> None:
        super().write(name, index, bits, value, now)
        if name == "LEARN.CTRL" and bits & CLEAR:
            self.held["LEARN.CLIPPED"][0] = 0

    # LEARN.

    def update(self, now: int) -> None:
        """One LEARN."""
        saturated, changed = 0, 0
        coupling, bias = list(self.fabric.coupling), list(self.fabric.bias)
        for p, (lower, higher) in enumerate(self.couplers):
            if not self.pair.is_frozen(p):
                code, end = self._learn(self.pair, p, self._pair_factors(p))
                saturated += end
                changed += (coupling[lower] != code) + (coupling[higher] != code)
                coupling[lower] = coupling[higher] = code
        for i in range(len(bias)):
            if not self.bias.is_frozen(i):
                code, end = self._learn(self.bias, i, self._bias_factors(i))
                saturated += end
                changed += bias[i] != code
                bias[i] = code
        self.held["LEARN.SATURATED"][0] = saturated
        self.held["LEARN.CHANGED"][0] = changed
        self.fabric.ledger.writes += changed
        self.count("LEARN.UPDATES", 1)
        self.held["LEARN.GAIN"][0] = self.decayed(self.value("LEARN.GAIN"))
        self.fabric.write_codes(coupling, bias, now)

    def decayed(self, gain: int) -> int:
        return gain - (gain * self.value("LEARN.DECAY") >> 32)

    def _learn(self, bank: Bank, element: int, factors: dict[str, Callable[[], int]]) -> tuple[int, bool]:
        """Updates an accumulator that is not frozen: its code, and whether it lies at an end of its range."""
        wanted = bank.accumulators[element] + self.moved(bank, element, self.contributions(bank, factors))
        low, high = -(1 << self.bits - 1), (1 << self.bits - 1) - 1
        bank.accumulators[element] = min(max(wanted, low), high)
        if bank.accumulators[element] != wanted:
            self.count("LEARN.CLIPPED", 1)
        self.fabric.ledger.learned += 1
        return self.code(bank, element), bank.accumulators[element] in (low, high)

    def contributions(self, bank: Bank, factors: dict[str, Callable[[], int]]) -> int:
        """The sum S of a rule's terms."""
        block, names = ("PAIR", PAIR_FACTORS) if bank.kind == PAIRS else ("BIAS", BIAS_FACTORS)
        total = 0
        for term in range(TERMS):
            rate = self.signed(self.value(f"LEARN.{block}_RATE", term))
            if rate:
                word = self.value(f"LEARN.{block}_TERM", term)
                first, second, third = (factors[names[word >> shift & 15]]() for shift in (0, 4, 8))
                total += rate * self.product(first, second, third)
        return min(max(total, -S_MAX), S_MAX)

    @staticmethod
    def signed(word: int) -> int:
        return word - (1 << 32) if word >> 31 else word

    @staticmethod
    def product(first: int, second: int, third: int) -> int:
        x = (first * second + (1 << 13)) >> 14
        return (x * third + (1 << 13)) >> 14

    def moved(self, bank: Bank, element: int, total: int) -> int:
        """Accumulator steps of a sum of terms, rounded."""
        d = total * (self.value("LEARN.GAIN") >> 15) >> 16
        if self.value("LEARN.CTRL") & ROUND_WEIGHT:
            return (d + (self.word(bank, element, OF_WEIGHT) >> 2)) >> 30
        return (d + (1 << 29)) >> 30

    def code(self, bank: Bank, element: int) -> int:
        """The code of an accumulator."""
        w, shift = bank.accumulators[element], self.bits - bank.dac_bits
        if shift == 0:
            return w
        if self.value("LEARN.CTRL") & ROUND_CODE:
            w += self.word(bank, element, OF_CODE) & (1 << shift) - 1
        else:
            w += 1 << shift - 1
        return min(w >> shift, (1 << bank.dac_bits - 1) - 1)

    def word(self, bank: Bank, element: int, purpose: int) -> int:
        """A noise word of an accumulator in this update."""
        n = self.value("LEARN.UPDATES")
        counter = (element >> 2, 4 * bank.kind + purpose, n & noise.MASK32, n >> 32)
        return noise.draw(self.fabric.seed, noise.LEARNING, counter)[element & 3]

    # Factors.

    def average(self, role: int, accumulator: int) -> int:
        norm = self.value("LEARN.NORM_DATA" if role == DATA else "LEARN.NORM_FREE")
        return max(-(1 << 15), min((accumulator * norm + (1 << 17)) >> 18, 1 << 15))

    def weight(self, bank: Bank, element: int) -> int:
        w = bank.accumulators[element]
        return w << 15 - self.bits if self.bits <= 15 else w >> self.bits - 15

    def random(self, bank: Bank, element: int) -> int:
        return (self.word(bank, element, OF_RANDOM) >> 17) - (1 << 14)

    def _pair_factors(self, p: int) -> dict[str, Callable[[], int]]:
        (i, j), pair, mean = self.fabric.graph.pairs[p], self.correlator.pair, self.correlator.mean
        code = self.fabric.coupling[self.heard_by_lower(p)]
        return {
            "ONE": lambda: 1 << 14,
            "C_DATA": lambda: self.average(DATA, pair[DATA][p]),
            "C_FREE": lambda: self.average(FREE, pair[FREE][p]),
            "M_DATA_I": lambda: self.average(DATA, mean[DATA][i]),
            "M_DATA_J": lambda: self.average(DATA, mean[DATA][j]),
            "M_FREE_I": lambda: self.average(FREE, mean[FREE][i]),
            "M_FREE_J": lambda: self.average(FREE, mean[FREE][j]),
            "WEIGHT": lambda: self.weight(self.pair, p),
            "CODE": lambda: code << 15 - self.pair.dac_bits,
            "RANDOM": lambda: self.random(self.pair, p),
        }

    def heard_by_lower(self, p: int) -> int:
        """The coupler of a pair that its lower cell hears."""
        return self.couplers[p][0]

    def _bias_factors(self, i: int) -> dict[str, Callable[[], int]]:
        mean = self.correlator.mean
        return {
            "ONE": lambda: 1 << 14,
            "M_DATA": lambda: self.average(DATA, mean[DATA][i]),
            "M_FREE": lambda: self.average(FREE, mean[FREE][i]),
            "WEIGHT": lambda: self.weight(self.bias, i),
            "CODE": lambda: self.fabric.bias[i] << 15 - self.bias.dac_bits,
            "RANDOM": lambda: self.random(self.bias, i),
        }
