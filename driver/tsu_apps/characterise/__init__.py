"""Characterisation: what a chip is, measured through its pins as a laboratory would, and a datasheet of it.

>>> from tsu_apps.characterise import characterise
>>> with tsu_driver.open("emu:digits-typical") as chip:
...     result = characterise(chip)
"""

from tsu_apps.characterise.ambient import Insertion, insertions
from tsu_apps.characterise.lab import Lab
from tsu_apps.characterise.measurement import Measurement
from tsu_apps.characterise.procedure import Procedure
from tsu_apps.characterise.run import PROCEDURES, Characterisation, characterise

__all__ = ["PROCEDURES", "Characterisation", "Insertion", "Lab", "Measurement", "Procedure", "characterise", "insertions"]
