"""The one place where digital and analog meet."""

from tsu_emu.chip.chip import Chip, Result
from tsu_emu.chip.firmware import Bus, Firmware

__all__ = ["Bus", "Chip", "Firmware", "Result"]
