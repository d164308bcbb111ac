"""Learning on the chip: Boltzmann machines trained through its registers, with the host in the loop.

One interface, scikit-learn's, for all algorithms:

>>> model = Ctd(chip, visible=range(64), labels=range(64, 74))
>>> model.fit(X, y).predict(X_new)
"""

from tsu_apps.learning.base import ChipEstimator
from tsu_apps.learning.cd import Cd
from tsu_apps.learning.compare import compare
from tsu_apps.learning.ctd import Ctd, Pcd
from tsu_apps.learning.eqprop import EqProp
from tsu_apps.learning.history import Counters, Moment
from tsu_apps.learning.onchip import OnChipCtd
from tsu_apps.learning.progress import Bar
from tsu_apps.learning.sgd import Sgd
from tsu_apps.learning.teacher import Teacher

__all__ = ["Bar", "Cd", "ChipEstimator", "Counters", "Ctd", "EqProp", "Moment", "OnChipCtd", "Pcd", "Sgd", "Teacher", "compare"]
