"""Continuous Thermodynamic Descent: a Boltzmann machine trained on the chip, with the host in the loop.

>>> model = Ctd(chip, visible=range(64), labels=range(64, 74))
>>> model.fit(X, y)
>>> model.predict(X_new)
"""

from tsu_apps.ctd.config import CtdConfig
from tsu_apps.ctd.history import Counters, CtdResult, Moment
from tsu_apps.ctd.machine import Ctd
from tsu_apps.ctd.progress import Bar

__all__ = ["Bar", "Counters", "Ctd", "CtdConfig", "CtdResult", "Moment"]
