"""Behavioural firmware of the chip's core, in Python: plain state, one bus, and the time of its next step."""

from tsu_firmware.boot import BootFirmware
from tsu_firmware.control import ControlFirmware

__all__ = ["BootFirmware", "ControlFirmware", "firmware_of"]


def firmware_of(name: str, map_hash_word: int) -> BootFirmware | ControlFirmware:
    """The firmware that a configuration names in `cpu.firmware`, "boot" or "control", for a register map."""
    firmware = ControlFirmware() if name == "control" else BootFirmware()
    firmware.map_hash_word = map_hash_word
    return firmware
