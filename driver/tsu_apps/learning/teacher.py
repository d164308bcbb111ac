"""Distillation: a teacher's moments in place of the data's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsu_apps.learning.masters import Floats


@dataclass(frozen=True)
class Teacher:
    """Moments that stand in for those of data: distillation.

    pairs : (pairs,) float64, means of s_i s_j in the order of `chip.topology.pairs`
    means : (cells,) float64, means of s
    NaN where the teacher knows nothing; there the data planes are asked.
    """

    pairs: Floats
    means: Floats

    @property
    def complete(self) -> bool:
        """Whether it knows every moment, so that no data are needed."""
        return not (np.isnan(self.pairs).any() or np.isnan(self.means).any())

    def check(self, pairs: int, cells: int) -> None:
        """ValueError says which moment is impossible, or which shape is wrong."""
        for name, values, size in (("pairs", self.pairs, pairs), ("means", self.means, cells)):
            if np.shape(values) != (size,):
                raise ValueError(f"the teacher's {name} have shape {np.shape(values)}; ({size},) is expected")
            wrong = np.abs(values) > 1
            if wrong.any():
                at = int(np.argmax(wrong))
                raise ValueError(f"the teacher's {name}[{at}] is {values[at]}; averages of spins lie in -1 .. 1")
