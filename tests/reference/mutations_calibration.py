"""Wrong rules of trims and of the calibration's age, each as a patch of the reference."""

from __future__ import annotations

import pytest

from . import capabilities
from .analog import Analog
from .calibration import STALE, Calibration
from .fabric import Fabric
from .registers import Registers

Patch = pytest.MonkeyPatch


def trims_do_nothing(patch: Patch) -> None:
    patch.setattr(Analog, "trim", lambda self, i, offset_code, slope_code: None)


def slope_trims_are_added(patch: Patch) -> None:
    def added(self: Analog, i: int, offset_code: int, slope_code: int) -> None:
        self.delta[i] = self.delta_0[i] + self.offset_trim[i].output(offset_code)
        self.alpha[i] = self.alpha_0[i] + self.slope_trim[i].output(slope_code)

    patch.setattr(Analog, "trim", added)


def trim_converters_are_ideal(patch: Patch) -> None:
    def ideal(self: Analog, i: int, offset_code: int, slope_code: int) -> None:
        self.delta[i] = self.delta_0[i] + offset_code * self.offset_trim[i].lsb
        self.alpha[i] = self.alpha_0[i] * (1.0 + slope_code * self.slope_trim[i].lsb)

    patch.setattr(Analog, "trim", ideal)


def couplings_ignore_slope_trims(patch: Patch) -> None:
    write = Fabric.write_trims

    def biases_alone(self: Fabric, offsets: list[int], slopes: list[int], now: int) -> None:
        before = list(self.coupling_field)
        write(self, offsets, slopes, now)
        self.coupling_field = before

    patch.setattr(Fabric, "write_trims", biases_alone)


def trims_need_no_settling(patch: Patch) -> None:
    write = Fabric.write_trims

    def at_once(self: Fabric, offsets: list[int], slopes: list[int], now: int) -> None:
        due = self.settle_at
        write(self, offsets, slopes, now)
        self.settle_at = due

    patch.setattr(Fabric, "write_trims", at_once)


def trims_are_a_version_of_the_weights(patch: Patch) -> None:
    write = Fabric.write_trims

    def counted(self: Fabric, offsets: list[int], slopes: list[int], now: int) -> None:
        write(self, offsets, slopes, now)
        self.version += 1

    patch.setattr(Fabric, "write_trims", counted)


def age_counts_from_power_on(patch: Patch) -> None:
    value = Registers._value
    patch.setattr(Registers, "_value", lambda self, name, index, now: now if name == "CAL.AGE" else value(self, name, index, now))


def stamps_leave_stale(patch: Patch) -> None:
    write = Calibration.write

    def lasting(self: Calibration, name: str, index: int, bits: int, value: int, now: int) -> None:
        before = self.held["CAL.STATUS"][0]
        write(self, name, index, bits, value, now)
        self.held["CAL.STATUS"][0] |= before & STALE

    patch.setattr(Calibration, "write", lasting)


def reset_forgets_the_stamp(patch: Patch) -> None:
    reset = Calibration.reset

    def forgetful(self: Calibration) -> None:
        reset(self)
        self.stamped_at = 0

    patch.setattr(Calibration, "reset", forgetful)


def reset_keeps_the_limit_due(patch: Patch) -> None:
    reset = Calibration.reset

    def due(self: Calibration) -> None:
        before = self.due
        reset(self)
        self.due = before

    patch.setattr(Calibration, "reset", due)


def stale_raises_no_interrupt(patch: Patch) -> None:
    def quiet(self: Calibration, now: int) -> None:
        if self.due is not None and self.due <= now:
            self.due = None
            self.held["CAL.STATUS"][0] |= STALE

    patch.setattr(Calibration, "look", quiet)


def serial_is_read_backwards(patch: Patch) -> None:
    serial = capabilities.serial_of
    patch.setattr(capabilities, "serial_of", lambda config: serial(config)[::-1])
