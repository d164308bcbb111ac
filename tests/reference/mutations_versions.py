"""Wrong rules of weight versions, of what learning costs, and of what RESET leaves alone, each as a patch of the reference."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from .blocks import Block
from .fabric import Correlator, Fabric, Weights
from .learning import Learning
from .ledger import Ledger
from .registers import Registers

Patch = pytest.MonkeyPatch


def learning_costs_nothing(patch: Patch) -> None:
    patch.setattr(Ledger, "counts", property(lambda self: (self.updates, self.reads, self.writes, 0, 0)))


def learning_pays_for_all_codes(patch: Patch) -> None:
    update = Learning.update

    def dear(self: Learning, now: int) -> None:
        before = self.fabric.ledger.writes
        update(self, now)
        self.fabric.ledger.writes = before + 2 * len(self.couplers) + len(self.fabric.bias)

    patch.setattr(Learning, "update", dear)


def spin_version_of_now(patch: Patch) -> None:
    strobe = Fabric.strobe

    def latest(self: Fabric) -> None:
        strobe(self)
        self.spin_weights = self.weights()

    patch.setattr(Fabric, "strobe", latest)


def biases_before_couplings_in_the_check_sum(patch: Patch) -> None:
    def weights(self: Fabric) -> Weights:
        crc = zlib.crc32(np.array(self.bias, "<i2").tobytes())
        return Weights(self.version, zlib.crc32(np.array(self.coupling, "<i2").tobytes(), crc))

    patch.setattr(Fabric, "weights", weights)


def versions_count_codes(patch: Patch) -> None:
    write = Fabric.write_codes

    def each(self: Fabric, coupling: list[int], bias: list[int], now: int) -> None:
        same = (coupling, bias) == (self.coupling, self.bias)
        write(self, coupling, bias, now)
        self.version -= same

    patch.setattr(Fabric, "write_codes", each)


def first_version_is_the_last(patch: Patch) -> None:
    update = Correlator.update

    def later(self: Correlator, spins: list[list[int]], enabled: list[int], weights: Weights) -> None:
        update(self, spins, enabled, weights)
        self.first = weights.version

    patch.setattr(Correlator, "update", later)


def reading_shows_versions_unlatched(patch: Patch) -> None:
    value = Learning.value

    def live(self: Learning, name: str, index: int = 0) -> int:
        return self.correlator.last.version if name == "LEARN.CORR_VERSION" else value(self, name, index)

    patch.setattr(Learning, "value", live)


def reset_forgets_updates(patch: Patch) -> None:
    create = Block.__init__

    def forgetful(self: Block, prefix: str, without: tuple[str, ...] = (), kept: tuple[str, ...] = ()) -> None:
        create(self, prefix, without)

    patch.setattr(Block, "__init__", forgetful)


def reset_forgets_versions(patch: Patch) -> None:
    reset = Registers.reset

    def forgetful(self: Registers, now: int) -> None:
        reset(self, now)
        self.fabric.spin_weights = Weights(0, 0)

    patch.setattr(Registers, "reset", forgetful)
