"""The streams of draws: no stream's numbers depend on another's, so an effect can be switched without reshuffling the rest."""

from enum import IntEnum


class Stream(IntEnum):
    """Third key word of the generator. The die seed keys what a die is, the run seed what happens to it."""

    FLIP = 1
    POWER_ON = 2
    COUPLING_DAC = 3
    BIAS_DAC = 4
    TEMPERATURE_DAC = 5
    COUPLER = 6
    PBIT = 7
    SCAN = 8
    COLOURED = 9
    LFSR = 10
    ASYNCHRONOUS = 11
    PDIT = 12
    GAUSSIAN = 13
    MODE = 14
    LANGEVIN = 15
    CELL = 16
    DEAD = 17
    STUCK_BITS = 18
    FIELD = 19
    ADC_ARRAY = 20
    ADC_NOISE = 21
    REFRESH = 22
    DRIFT = 23
    SUPPLY = 24
    SENSOR = 25
    LEARN = 26
    SWAP = 27
    TRIM_OFFSET = 28
    TRIM_SLOPE = 29
    LOT = 30
    WAFER = 31
