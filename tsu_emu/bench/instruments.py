"""The instruments door: what a lab has round any chip. Settings act at the link's clock and lie in CORE.lab."""

from __future__ import annotations

import numpy as np

from tsu_contract.bench import Arguments
from tsu_contract.errors import Code, fail
from tsu_contract.operations import RECORD, Op
from tsu_emu import state as S
from tsu_emu.bench.door import Answer, Door, Verb
from tsu_emu.chip import Chip
from tsu_emu.noise.drift import LAST_EPOCH

AMBIENT_K = 200.0, 450.0
SUPPLY_NOMINALS = 2.0
"""Largest supply, in nominal ones."""
SOURCE = 2.0
"""Largest offset and amplitude, in ranges of the converters."""
SKIP_S = 100 * 365.25 * 86400.0


class Instruments(Door):
    """The instruments of one chip: each verb that sets something answers as `read` does."""

    def __init__(self, chip: Chip) -> None:
        verbs = {
            "identify": Verb(self._identify),
            "read": Verb(lambda _: self._reading()),
            "ambient": Verb(self._ambient, ("k",), changes=True),
            "supply": Verb(self._supply, ("v",), changes=True),
            "source": Verb(self._source, ("offset", "amplitude", "hz", "phase"), changes=True),
            "skip": Verb(self._skip, ("seconds",), changes=True),
        }
        super().__init__(chip, verbs)
        self._lab, self._hz, self._nominal_v = chip.state.core["lab"][0], chip.config.clock.hz, chip.config.supply.nominal_v

    def _identify(self, _: Arguments) -> Answer:
        """Who this is, and what can be set."""
        limits = {"ambient_k": list(AMBIENT_K), "supply_v": [0.0, SUPPLY_NOMINALS * self._nominal_v], "hz": [0.0, self._hz / 2]}
        limits |= {"offset": [-SOURCE, SOURCE], "amplitude": [-SOURCE, SOURCE], "phase": [-1.0, 1.0], "skip_s": [0.0, SKIP_S]}
        chip = {"name": self._chip.config.name, "clock_hz": self._hz, "nominal_v": self._nominal_v}
        return Answer({"door": "instruments", **chip, "limits": limits})

    def _reading(self) -> Answer:
        lab, cycle = (float(x) for x in self._lab), self._chip.link_time
        names = ("ambient_k", "supply_v", "offset", "amplitude", "hz", "phase")
        return Answer({**dict(zip(names, lab, strict=True)), "cycle": cycle, "seconds": cycle / self._hz})

    def _ambient(self, given: Arguments) -> Answer:
        kelvin = given.number("k", *AMBIENT_K)
        self._close_the_past()
        self._lab[S.AMBIENT_K] = kelvin
        return self._reading()

    def _supply(self, given: Arguments) -> Answer:
        volts = given.number("v", 0.0, SUPPLY_NOMINALS * self._nominal_v)
        self._close_the_past()
        self._lab[S.SUPPLY_V] = volts
        return self._reading()

    def _source(self, given: Arguments) -> Answer:
        offset, amplitude = (given.number(key, -SOURCE, SOURCE) for key in ("offset", "amplitude"))
        hz, phase = given.number("hz", 0.0, self._hz / 2), given.number("phase", -1.0, 1.0)
        self._lab[[S.STIMULUS_OFFSET, S.STIMULUS_AMPLITUDE, S.STIMULUS_HZ, S.STIMULUS_PHASE]] = offset, amplitude, hz, phase
        return self._reading()

    def _close_the_past(self) -> None:
        """Time up to now was spent at the old setting; what the array has of it is to be made anew."""
        chip, time = self._chip, self._chip.state.time
        epoch = chip.link_time // chip.config.slow.epoch_cycles
        if epoch > time[S.EPOCH]:
            chip.surroundings.roll(epoch)
        if chip.parameters.general:
            time[S.STALE], time[S.EVALUATED_AT] = 1, -1

    def _skip(self, given: Arguments) -> Answer:
        """Time passes as in a DELAY; nothing is to happen in it, so that years cost no more than seconds."""
        chip, cycles = self._chip, round(given.number("seconds", 0.0, SKIP_S) * self._hz)
        if chip.state.events[S.EVENT_SEQUENCER] != S.NEVER:
            raise fail(Code.BAD_OPERATION, "a program is running; time can be skipped once it has halted", field="seconds")
        if chip.parameters.slow and (chip.link_time + cycles) // chip.config.slow.epoch_cycles > LAST_EPOCH:
            raise fail(Code.OUT_OF_RANGE, f"seconds: the chip's drift is known for {LAST_EPOCH} epochs only", field="seconds")
        delay = np.zeros(1, RECORD)
        delay["op"], delay["arg"] = Op.DELAY, cycles
        chip.execute(delay)
        return self._reading()
