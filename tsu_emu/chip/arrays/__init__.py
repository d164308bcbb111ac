"""The kinds of arrays behind one surface: take parameters, take a sweep's inputs, live for some sweeps.

Clocked p-bits with ideal noise are moved by the compiled loop itself (`machine`); the others are deferred and moved from here.
"""

from tsu_emu.chip.arrays.analog import Gaussians, Langevins, Mixtures
from tsu_emu.chip.arrays.base import Array, Defects
from tsu_emu.chip.arrays.clocked import Clocked, Fields, Sourced
from tsu_emu.chip.arrays.discrete import Asynchronous, Pdits

__all__ = ["Array", "Asynchronous", "Clocked", "Defects", "Fields", "Gaussians", "Langevins", "Mixtures", "Pdits", "Sourced"]
