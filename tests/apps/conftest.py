"""Small chips with strong static errors, behind the real daemon."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

import tsu_driver as tsu

PIXELS, CLASSES, HIDDEN, PLANES = 8, 2, 13, 64

CONFIG = f"""
name = "apps-test"
[fabric]
planes = {PLANES}
topology = {{ kind = "bipartite", visible = {PIXELS + CLASSES}, hidden = {HIDDEN} }}
[coupling]
gain_sigma = 0.1
[coupling.dac]
element_sigma = 0.02
gain_sigma = 0.02
offset_sigma_lsb = 1.0
[bias.dac]
full_scale = 4.0
offset_sigma_lsb = 1.0
[cell]
kind = "pbit"
slope_sigma = 0.1
offset_sigma_kt = 0.3
"""
"""An odd number of cells, and errors well beyond those of the typical presets."""


OpenChip = Callable[[], AbstractContextManager[tsu.Chip]]


@pytest.fixture(scope="session")
def open_chip(tmp_path_factory: pytest.TempPathFactory) -> OpenChip:
    """A function that powers up a fresh chip: the same die and the same noise every time."""
    path: Path = tmp_path_factory.mktemp("apps") / "chip.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return lambda: tsu.open(f"emu:{path}?threads=1")


@pytest.fixture(scope="module")
def chip(open_chip: OpenChip) -> Iterator[tsu.Chip]:
    """A chip that the tests of a file share, so that what they see depends on no other file; each must set what it needs."""
    with open_chip() as opened:
        yield opened
