"""The weights of digits, trained once on a chip without errors, and what they are worth on another chip."""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from six_cells import fields_of

from tsu_apps.models import Boltzmann
from tsu_testing.in_process import open_in_process

if TYPE_CHECKING:
    from tsu_testing.in_process import InProcessChip

sys.path.append(str(Path(__file__).resolve().parent / "experiments"))

TICKS = 6000
"""Of training the digits' weights on a chip without errors."""


@lru_cache
def machine() -> Any:
    """Digits' weights, trained once on a chip without errors; kept in the cache directory, since every worker needs them."""
    from fcntl import LOCK_EX, flock

    from digits import estimator, load

    from tsu_emu.code_cache import cache_directory

    kept = cache_directory().parent / f"digits-weights-{TICKS}.npz"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.with_suffix(".lock").open("w") as lock:
        flock(lock, LOCK_EX)
        if not kept.exists():
            with open_in_process("digits-ideal", die_seed=1, run_seed=1) as chip:
                trained = estimator("ctd", chip, 0, ticks=TICKS)
                trained.fit(load().train, load().train_y, progress=False)
                scratch = kept.with_suffix(".new.npz")
                fields = ("pairs_", "temperature_", "weights_", "biases_", "last_weights_", "last_biases_")
                np.savez(scratch, **{name: getattr(trained, name) for name in fields})
                scratch.replace(kept)
    return dict(np.load(kept))


def deployed(chip: InProcessChip, hotter: float = 1.0) -> tuple[float, float]:
    """(mean log-likelihood of held-out digits, nats; accuracy) of the ideal weights on a chip that is set hotter by a factor."""
    from digits import estimator, load

    from tsu_apps.models import log_likelihood

    chip.unclamp()
    chip.enable_planes(chip.capabilities.planes)
    chip.set_temperature(1.0)
    judge = estimator("ctd", chip, 0, ticks=1)
    for name, value in machine().items():
        setattr(judge, name, value if value.ndim else float(value))
    judge.temperature_ *= hotter
    accuracy = judge.score(load().test, load().test_y)
    chip.unclamp()
    J, h = fields_of(chip)
    model, _ = Boltzmann.symmetrised(np.asarray(chip.topology.row), chip.topology.source, J, h)
    examples = judge.layout.examples(load().test, load().test_y)
    return log_likelihood(model, judge.layout.clamped, examples).mean, accuracy


def ideal() -> tuple[float, float]:
    """(nats, accuracy) on a chip without errors."""
    with open_in_process("digits-ideal", die_seed=1, run_seed=2) as chip:
        return deployed(chip)
