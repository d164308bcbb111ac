"""Behavioural firmware of the chip's boot core, in Python: plain state, one bus, and the time of its next step."""

from tsu_firmware.boot import BootFirmware

__all__ = ["BootFirmware"]
