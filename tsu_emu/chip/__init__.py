"""The one place where digital and analog meet."""

from tsu_emu.chip.chip import Bus, Chip, Firmware, Result

__all__ = ["Bus", "Chip", "Firmware", "Result"]
