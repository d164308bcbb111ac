"""The study of twins judges rightly: by known deviations, and on a chip whose twin is tried in short."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("xarray")
sys.path[:0] = [str(Path(__file__).resolve().parents[2] / folder) for folder in ("tools", "tools/study")]

import twin  # noqa: E402

from tsu_apps.twin import Prediction  # noqa: E402


def test_deviations_of_known_size_are_found() -> None:
    """256 planes of 21 normal values, 200 times: rms z and chi square are 1 where there is nothing, and 4 and 16 where the
    prediction is off by so many standard errors."""
    rng, z, chi = np.random.default_rng(1), [], []
    for off in (0.0, np.sqrt(15.0 / 256.0 * 2.0)):
        runs = [rng.standard_normal((256, 21)) for _ in range(200)]
        told = Prediction(np.full(21, off), np.full(21, 1 / 16), np.eye(21) / 256)
        true = [told.values + rng.standard_normal(21) / 16 - off for _ in runs]
        z.append(
            np.sqrt(np.mean([twin.deviations(r + t, told.values, told.errors) ** 2 for r, t in zip(runs, true, strict=True)]))
        )
        chi.append(np.mean([twin.chi_square(r + t, told) for r, t in zip(runs, true, strict=True)]))
    assert z == pytest.approx([1.0, 4.0], rel=0.1)
    assert chi == pytest.approx([1.0, 16.0], rel=0.1)


def test_a_chip_does_what_its_twin_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of the samples: rms z of 21 values is 1 +- 5 / sqrt(2 x 21) at most, others' are beyond 5."""
    name, changes, effort, looks = twin.CHIPS["six"]
    monkeypatch.setattr(twin, "CHIPS", {"six": (name, changes, 0.2 * effort, looks)})
    found = twin.measure_twin({"chip": "six"}, 41)
    assert (found["z"][:2] < 1.8).all()
    assert (found["z"][2:] > 5.0).all()
    assert 0.001 < found["error"] < 0.02
