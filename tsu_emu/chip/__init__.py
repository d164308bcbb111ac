"""The one place where digital and analog meet."""

from tsu_emu.chip.chip import Chip, Result

__all__ = ["Chip", "Result"]
