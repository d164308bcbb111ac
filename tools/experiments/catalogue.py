"""Every experiment, by name."""

from __future__ import annotations

from collections.abc import Mapping

import changes
import dumoulin
import learning_digits
import mnist
import precision
import rates
import small
import table1
from experiment import Experiment

_ALL: tuple[Experiment, ...] = (
    *small.EXPERIMENTS,
    *learning_digits.EXPERIMENTS,
    *precision.EXPERIMENTS,
    *changes.EXPERIMENTS,
    *table1.EXPERIMENTS,
    *rates.EXPERIMENTS,
    *dumoulin.EXPERIMENTS,
    *mnist.EXPERIMENTS,
)
EXPERIMENTS: Mapping[str, Experiment] = {e.name: e for e in _ALL}
