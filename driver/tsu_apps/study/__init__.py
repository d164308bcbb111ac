"""Studies over fleets of imperfect chips: a function of one die at one point of a grid, measured for all of them.

>>> study = Study("bias", "Offsets of cells", measure, [Quantity("offset", "kT")], axes=[Axis("bits", (6, 8))], dies=100)
>>> results = run(study, Fleet(workers=2), Path("store"))

docs/studies.md is the prose. Datasets need xarray and h5netcdf: pip install 'tsu-driver[studies]'.
"""

from tsu_apps.study.asking import Asking, MeasureFailed
from tsu_apps.study.definition import Axis, Cell, Point, Quantity, Study
from tsu_apps.study.engine import EngineLost
from tsu_apps.study.fleet import Fleet
from tsu_apps.study.results import load, mean_error
from tsu_apps.study.run import Results, run
from tsu_apps.study.task import Outcome, Task, Work, work_of

__all__ = [
    "Asking",
    "Axis",
    "Cell",
    "EngineLost",
    "Fleet",
    "MeasureFailed",
    "Outcome",
    "Point",
    "Quantity",
    "Results",
    "Study",
    "Task",
    "Work",
    "load",
    "mean_error",
    "run",
    "work_of",
]
