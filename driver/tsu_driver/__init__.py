"""Host library of a thermodynamic sampling unit: `tsu_driver.open(url)` gives a `Chip`.

>>> import tsu_driver as tsu
>>> with tsu.open("emu:digits-typical") as chip:
...     chip.program_couplings(J)
...     chip.anneal(tsu.Linear(4.0, 0.5, 1000))
...     spins = chip.read()
"""

from tsu_contract.capabilities import Capabilities
from tsu_contract.program import Instruction, Opcode
from tsu_contract.wire import Interrupt
from tsu_driver._version import __version__
from tsu_driver.accumulators import Weights
from tsu_driver.batch import Batch, Outcome
from tsu_driver.calibration import Calibration
from tsu_driver.converters import Capture
from tsu_driver.correlator import Correlations
from tsu_driver.couplings import Programmed, Quantised, quantise
from tsu_driver.device import Chip
from tsu_driver.energy import Energy
from tsu_driver.errors import ChipFault, HostError, LinkError, LinkTimeout, StaleSamples, TsuError
from tsu_driver.learning import LearningStatus, LoadedRule
from tsu_driver.links import Link, ZmqLink
from tsu_driver.observing import Observer, Update, observe, status
from tsu_driver.opening import open
from tsu_driver.rules import Term, UpdateRule
from tsu_driver.runner import RunResult
from tsu_driver.schedules import Linear, Logarithmic, Schedule, Table
from tsu_driver.streaming import Stream
from tsu_driver.tempering import SwapStatistics
from tsu_driver.tickets import Ticket
from tsu_driver.topology import Topology
from tsu_driver.trims import CalibrationAge

__all__ = [
    "Batch",
    "Calibration",
    "CalibrationAge",
    "Capabilities",
    "Capture",
    "Chip",
    "ChipFault",
    "Correlations",
    "Energy",
    "HostError",
    "Instruction",
    "Interrupt",
    "LearningStatus",
    "Linear",
    "Link",
    "LinkError",
    "LinkTimeout",
    "LoadedRule",
    "Logarithmic",
    "Observer",
    "Opcode",
    "Outcome",
    "Programmed",
    "Quantised",
    "RunResult",
    "Schedule",
    "StaleSamples",
    "Stream",
    "SwapStatistics",
    "Table",
    "Term",
    "Ticket",
    "Topology",
    "TsuError",
    "Update",
    "UpdateRule",
    "Weights",
    "ZmqLink",
    "__version__",
    "observe",
    "open",
    "quantise",
    "status",
]
