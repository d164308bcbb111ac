"""Calibration of a chip through its pins: procedures, the graph that keeps them fresh, and what hangs on their results.

>>> from tsu_apps.calibrate import Calibrator, Work
>>> calibrator = Calibrator.of(Work.of(chip))
>>> calibrator.run_self_test()
>>> calibrator.calibrate_all()
>>> calibrator.work.calibration.save("chip.tsucal")
"""

from tsu_apps.calibrate.drift import Drift, measure_drift
from tsu_apps.calibrate.effective import EffectiveTemperature, effective_temperature
from tsu_apps.calibrate.gauges import gauged, sample_gauges
from tsu_apps.calibrate.graph import CalibrationFailed, Calibrator, Event
from tsu_apps.calibrate.interruption import set_aside
from tsu_apps.calibrate.policy import Policy
from tsu_apps.calibrate.procedure import Procedure, Result, Verdict
from tsu_apps.calibrate.selftest import SelfTest, self_test
from tsu_apps.calibrate.tracking import Correction, Tracker
from tsu_apps.calibrate.work import Work

__all__ = [
    "CalibrationFailed",
    "Calibrator",
    "Correction",
    "Drift",
    "EffectiveTemperature",
    "Event",
    "Policy",
    "Procedure",
    "Result",
    "SelfTest",
    "Tracker",
    "Verdict",
    "Work",
    "effective_temperature",
    "gauged",
    "measure_drift",
    "sample_gauges",
    "self_test",
    "set_aside",
]
