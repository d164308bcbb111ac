"""What a procedure is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tsu_apps.characterise.lab import Lab
from tsu_apps.characterise.measurement import Outcome


@dataclass(frozen=True)
class Procedure:
    """A measurement that a laboratory does.

    name : short, for the command line; title : for the datasheet
    about : what is done and how its tolerance follows from the sample size
    kinds : kinds of cells (`Chip.kind`) that it suits, None for all
    adc, instruments : whether it needs converters, or the bench's instruments
    run : does it
    """

    name: str
    title: str
    about: str
    run: Callable[[Lab], Outcome]
    kinds: frozenset[str] | None = None
    adc: bool = False
    instruments: bool = False

    def lacks(self, lab: Lab) -> str | None:
        """What the laboratory or the chip lacks for it, or None."""
        if self.kinds is not None and lab.chip.kind not in self.kinds:
            return f"suits {', '.join(sorted(self.kinds))} cells"
        if self.adc and not lab.chip.capabilities.adc_count:
            return "the chip has no converters"
        if self.instruments and lab.instruments is None:
            return "no instruments are connected"
        return None
