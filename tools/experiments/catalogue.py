"""Every experiment, by name."""

from __future__ import annotations

from collections.abc import Mapping

import changes
import cooling
import cost
import dumoulin
import learning_digits
import mnist
import precision
import presets
import rates
import small
import soft_map
import sparsity
import table1
from experiment import Experiment

_ALL: tuple[Experiment, ...] = (
    *small.EXPERIMENTS,
    *learning_digits.EXPERIMENTS,
    *precision.EXPERIMENTS,
    *changes.EXPERIMENTS,
    *table1.EXPERIMENTS,
    *rates.EXPERIMENTS,
    *soft_map.EXPERIMENTS,
    *cooling.EXPERIMENTS,
    *sparsity.EXPERIMENTS,
    *cost.EXPERIMENTS,
    *presets.EXPERIMENTS,
    *dumoulin.EXPERIMENTS,
    *mnist.EXPERIMENTS,
)
EXPERIMENTS: Mapping[str, Experiment] = {e.name: e for e in _ALL}
