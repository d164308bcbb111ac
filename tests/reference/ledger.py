"""Physical time and the joule ledger: the MON block."""

from __future__ import annotations

from tsu_emu.config import ChipConfig

MASK64 = (1 << 64) - 1


class Ledger:
    """What the chip has done since power-on; RESET does not touch it.

    busy : cycles of sweeps that have ended
    updates, reads, writes, learned : cells updated, cells latched, codes written, accumulators updated by LEARN
    """

    def __init__(self, config: ChipConfig) -> None:
        energy = config.energy
        self.prices = (energy.update_aj, energy.read_aj, energy.write_aj, energy.learn_aj, energy.conversion_aj)
        self.standby = round(energy.standby_w * 1e18 / config.clock.hz)
        self.busy = self.updates = self.reads = self.writes = self.learned = 0

    @property
    def counts(self) -> tuple[int, ...]:
        """How often each price was paid."""
        return self.updates, self.reads, self.writes, self.learned, 0

    def femtojoules(self, now: int) -> dict[str, int]:
        """The energies, each rounded down, and their sum, modulo 2^64."""
        names = ("UPDATE", "READ", "WRITE", "LEARN", "ADC")
        parts = {f"MON.ENERGY_{name}": n * aj // 1000 for name, n, aj in zip(names, self.counts, self.prices, strict=True)}
        parts["MON.ENERGY_STANDBY"] = now * self.standby // 1000
        parts["MON.ENERGY"] = sum(parts.values())
        return {name: value & MASK64 for name, value in parts.items()}
