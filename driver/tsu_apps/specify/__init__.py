"""The cheapest hardware that does: a search over options of a chip for the least cost at which a loss is tolerable.

>>> lattice = Lattice([Option("bits", (4, 6, 8)), Option("sigma", (0.1, 0.05))], cost)
>>> found = find(lattice, losses, tolerated=0.02)
>>> found.point, found.cost, found.passed.mean
"""

from tsu_apps.specify.lattice import Lattice, Option
from tsu_apps.specify.search import Neighbour, Specification, Unreachable, find
from tsu_apps.specify.sequential import DIES, Verdict, verdict

__all__ = ["DIES", "Lattice", "Neighbour", "Option", "Specification", "Unreachable", "Verdict", "find", "verdict"]
