"""Calibration: what a chip's static errors make of the drives of its cells, measured through the layer itself."""

from __future__ import annotations

import numpy as np

from tsu_apps.layers.chip import ChipLayer, Correction
from tsu_apps.layers.laws import Floats

SETTINGS = 16
"""Drives that each cell is measured at."""
SWING = 1.25
"""Greatest |drive| among them, in kT: where means tell drives best."""


def calibrate(layer: ChipLayer, samples: int, seed: int = 0) -> None:
    """Measure gains and offsets of the drives of all cells, and put them in `layer.correction`.

    Each cell is averaged over `samples` draws at SETTINGS random drives, drawn with `seed`. Its means, taken back through the
    law's `link`, are fitted with gain * drive + offset by least squares; where a cell has several drives, up to what they have
    in common.
    ValueError if the law has no `link`.
    """
    shape = layer.law.drive_shape
    drives = np.random.default_rng(seed).uniform(-SWING, SWING, (SETTINGS, layer.chip.capabilities.cells, *shape))
    layer.correction = None
    found = layer.law.link(layer.average(drives, samples)).reshape(*drives.shape[:2], -1)
    written = layer.law.terms(drives)[..., : found.shape[-1]]
    layer.correction = Correction(*_fit(written, found))


def _fit(drives: Floats, found: Floats) -> tuple[Floats, Floats]:
    """(cells, n) gains and offsets of the n drives of each cell.

    drives : (settings, cells, n); found : what they acted as, whose sum over n is 0 if n > 1
    """
    settings, cells, n = drives.shape
    seen = np.eye(n) if n == 1 else np.eye(n) - 1.0 / n
    design = np.concatenate([seen * drives[:, :, None, :], np.broadcast_to(seen, (settings, cells, n, n))], axis=-1)
    equations = np.swapaxes(design, 0, 1).reshape(cells, settings * n, 2 * n)
    values = np.swapaxes(found, 0, 1).reshape(cells, settings * n, 1)
    solution = (np.linalg.pinv(equations) @ values)[..., 0]
    return solution[:, :n], solution[:, n:]
