"""Studies of stochastic layers: each opens the chips that it needs by name, and gives rows of a report and a figure's data."""

from tsu_apps.layers.studies.study import Chips, Step, Study

__all__ = ["Chips", "Step", "Study"]
