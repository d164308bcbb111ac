"""A die that was measured: values of its elements, in place of those that the die seed gives them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from tsu_emu.config.base import Table

Kt = Annotated[float, Field(ge=-64, le=64)]
Gain = Annotated[float, Field(ge=0, le=4)]


class MeasuredDie(Table):
    """Values of a die's elements, for p-bits. A list that is empty leaves its parameter to the die seed.

    offset_kt, slope : of each cell, kT at T = 1, and relative, with trims at code 0
    coupler_gain, coupler_offset_kt : of each coupler, in the order of the TOPO_SOURCE window: it gives gain x (output + offset),
        output being that of its DAC without the offset of the DAC's own
    temperature : gain and offset of the temperature DAC
    """

    offset_kt: tuple[Kt, ...] = ()
    slope: tuple[Gain, ...] = ()
    coupler_gain: tuple[Gain, ...] = ()
    coupler_offset_kt: tuple[Kt, ...] = ()
    temperature: tuple[float, ...] = Field(default=(), max_length=2)

    @model_validator(mode="after")
    def _two_of_temperature(self) -> MeasuredDie:
        if self.temperature and not (len(self.temperature) == 2 and 0.5 <= self.temperature[0] <= 2):
            raise ValueError(f"temperature {list(self.temperature)}: a gain, .5 to 2, and an offset expected")
        return self

    @property
    def stated(self) -> bool:
        """Whether anything of the die was measured."""
        return self != MeasuredDie()
