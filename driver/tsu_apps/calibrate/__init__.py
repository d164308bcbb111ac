"""Calibration of a chip through its pins: procedures, the graph that keeps them fresh, and what hangs on their results.

>>> from tsu_apps.calibrate import Calibrator, Work
>>> calibrator = Calibrator.of(Work.of(chip))
>>> calibrator.run_self_test()
>>> calibrator.calibrate_all()
>>> calibrator.work.calibration.save("chip.tsucal")
"""

from tsu_apps.calibrate.effective import EffectiveTemperature, effective_temperature
from tsu_apps.calibrate.gauges import gauged, sample_gauges
from tsu_apps.calibrate.graph import CalibrationFailed, Calibrator, Event
from tsu_apps.calibrate.procedure import Procedure, Result, Verdict
from tsu_apps.calibrate.selftest import SelfTest, self_test
from tsu_apps.calibrate.work import Work

__all__ = [
    "CalibrationFailed",
    "Calibrator",
    "EffectiveTemperature",
    "Event",
    "Procedure",
    "Result",
    "SelfTest",
    "Verdict",
    "Work",
    "effective_temperature",
    "gauged",
    "sample_gauges",
    "self_test",
]
