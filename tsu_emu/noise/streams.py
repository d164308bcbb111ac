"""The streams of draws: no stream's numbers depend on another's, so an effect can be switched without reshuffling the rest."""

from enum import IntEnum


class Stream(IntEnum):
    """Third key word of the generator."""

    FLIP = 1
    POWER_ON = 2
    COUPLING_DAC = 3
    BIAS_DAC = 4
    TEMPERATURE_DAC = 5
    COUPLER = 6
    PBIT = 7
    SCAN = 8
