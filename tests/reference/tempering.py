"""The swap engine; docs/theory-of-operation.md, "Tempering", and docs/arithmetic.md, "Swaps"."""

from __future__ import annotations

import math

from . import noise
from .blocks import Block
from .fabric import Correlator, Fabric


class Tempering(Block):
    """Ladders of planes, and rounds of swaps between neighbouring rungs."""

    def __init__(self, fabric: Fabric, correlator: Correlator, lsbs: tuple[int, int, int]) -> None:
        """`lsbs` are CAP.COUPLING_LSB, CAP.BIAS_LSB, CAP.TEMP_LSB."""
        super().__init__("TEMPERING.", kept=("TEMPERING.SWAPS",))
        self.fabric = fabric
        self.correlator = correlator
        self.coupling_lsb, self.bias_lsb, self.temp_lsb = lsbs
        self.ladder = list(range(fabric.planes))
        self.counts = [0] * (2 * fabric.planes)

    @property
    def rungs_in_all(self) -> int:
        return self.value("TEMPERING.LADDERS") * self.value("TEMPERING.RUNGS")

    @property
    def sound(self) -> bool:
        return self.value("TEMPERING.RUNGS") >= 2 and 1 <= self.rungs_in_all <= self.fabric.planes

    def round(self) -> None:
        """SWAP of sound ladders."""
        rungs, number = self.value("TEMPERING.RUNGS"), self.value("TEMPERING.SWAPS")
        for ladder in range(self.value("TEMPERING.LADDERS")):
            for rung in range(self.first_rung(number), rungs - 1, 2):
                self._try(ladder * rungs + rung, number)
        self.count("TEMPERING.SWAPS", 1)

    def first_rung(self, number: int) -> int:
        return number % 2

    def _try(self, place: int, number: int) -> None:
        a, b = self.ladder[place], self.ladder[place + 1]
        self._count(2 * place)
        if self._accepted(self.exponent(a, b), self.word(place, number)):
            self._count(2 * place + 1)
            self.exchange(place)

    def _count(self, which: int) -> None:
        self.counts[which] = self.counts[which] + 1 & 0xFFFFFFFF

    def word(self, place: int, number: int) -> int:
        counter = (place, 0, number & noise.MASK32, number >> 32)
        return noise.draw(self.fabric.seed, noise.SWAPS, counter)[0]

    def exponent(self, a: int, b: int) -> float:
        """What the logarithm of the probability of acceptance is, where it is below 0."""
        difference = float(self.energy(a) - self.energy(b)) * 2.0**-29
        return (1.0 / self.temperature(a) - 1.0 / self.temperature(b)) * difference

    @staticmethod
    def _accepted(x: float, word: int) -> bool:
        return x >= 0.0 or ((word >> 8) + 0.5) * 2.0**-24 < math.exp(x)

    def energy(self, plane: int) -> int:
        """Energy of a plane in 2^-29 kT, of the codes alone."""
        fabric, spins = self.fabric, self.fabric.spins[plane]
        total = 0
        for e, code in enumerate(fabric.coupling):
            total -= code * self.coupling_lsb * spins[fabric.graph.target[e]] * spins[fabric.graph.source[e]]
        for i, code in enumerate(fabric.bias):
            total -= 2 * code * self.bias_lsb * spins[i]
        return total

    def temperature(self, plane: int) -> float:
        return (self.fabric.tdac * (self.temp_lsb * 2.0**-28)) * (self.fabric.plane_temp[plane] / 4096)

    def exchange(self, place: int) -> None:
        """The planes at a rung and the one above exchange temperature, roles and places."""
        a, b = self.ladder[place], self.ladder[place + 1]
        temps = self.fabric.plane_temp
        temps[a], temps[b] = temps[b], temps[a]
        self.exchange_roles(a, b)
        self.ladder[place], self.ladder[place + 1] = b, a

    def exchange_roles(self, a: int, b: int) -> None:
        for words in self.correlator.role_planes:
            of_a, of_b = (words[p // 32] >> p % 32 & 1 for p in (a, b))
            if of_a != of_b:
                words[a // 32] ^= 1 << a % 32
                words[b // 32] ^= 1 << b % 32
