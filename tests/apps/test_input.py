"""What is wrong with data or a configuration is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tsu_driver as tsu
from tests.apps.conftest import PIXELS
from tsu_apps.learning import Cd, Ctd, EqProp, Pcd
from tsu_apps.learning.examples import Layout

GOOD = np.ones((3, 4), np.int8)


@pytest.fixture
def layout() -> Layout:
    return Layout(10, [5, 1, 2, 3], [7, 0])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones((3, 5)), r"X has shape \(3, 5\); \(examples, 4\) is expected"),
        (np.ones(4), r"X has shape \(4,\)"),
        (np.ones((0, 4)), "no example"),
        (np.array([[1, 1, 1, 1], [1, -1, 0, 1]]), r"X\[1, 2\] is 0; spins are -1 and \+1"),
        (np.array([[1.0, np.nan, 1.0, 1.0]]), r"X\[0, 1\] is nan"),
    ],
)
def test_bad_pixels(layout: Layout, X: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layout.pixels(X)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0, 1], r"y is int64 of shape \(2,\); integers of shape \(3,\)"),
        ([0.0, 1.0, 1.0], "y is float64"),
        ([0, 1, 2], r"y\[2\] is 2; classes are 0 \.\. 1"),
        (None, "y is missing; 2 cells hold labels"),
    ],
)
def test_bad_classes(layout: Layout, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layout.examples(GOOD, y)


@pytest.mark.parametrize(
    ("visible", "labels", "message"),
    [
        ([], [], "visible names no cell"),
        ([0, 10], [], r"visible names cell 10; the chip has cells 0 \.\. 9"),
        ([0, 1], [1], "cell 1 is named twice"),
        ([0.5], [], "a list of cell numbers"),
    ],
)
def test_bad_cells(visible: list[int], labels: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Layout(10, visible, labels)


def test_clamp_words_hold_pixels_and_labels_in_their_cells(layout: Layout) -> None:
    X = np.array([[1, -1, 1, 1], [-1, -1, -1, -1]])
    words = layout.clamp_words(layout.examples(X, [1, 0]))
    assert words.tolist() == [[1 << 5 | 1 << 2 | 1 << 3 | 1 << 0], [1 << 7]]


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (Ctd, "ticks", 0),
        (Ctd, "ticks", 1.5),
        (Ctd, "tau_data", 0.5),
        (Ctd, "ratio", -1.0),
        (Ctd, "average_from", 1.0),
        (Ctd, "eta_end", 0.0),
        (Ctd, "dwell", 0),
        (Cd, "k", 0),
        (Pcd, "free_planes", 0),
        (EqProp, "beta", 0.0),
    ],
)
def test_bad_parameters_are_named_when_it_trains(chip: tsu.Chip, kind: Any, name: str, value: float) -> None:
    model = kind(chip, range(PIXELS), **{name: value})
    with pytest.raises(ValueError, match=rf"{kind.__name__}\.{name} = {value}"):
        model.fit(np.ones((2, PIXELS)), progress=False)
