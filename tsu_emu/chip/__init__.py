"""The one place where digital and analog meet."""

from tsu_emu.chip.chip import Chip, Firmware

__all__ = ["Chip", "Firmware"]
