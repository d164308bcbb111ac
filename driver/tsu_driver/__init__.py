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
from tsu_driver.batch import Batch, Outcome, Ticket
from tsu_driver.converters import Capture
from tsu_driver.correlator import Correlations
from tsu_driver.couplings import Programmed, Quantised, quantise
from tsu_driver.device import Chip
from tsu_driver.energy import Energy
from tsu_driver.errors import ChipFault, HostError, LinkError, LinkTimeout, TsuError
from tsu_driver.links import Link, ZmqLink
from tsu_driver.opening import open
from tsu_driver.runner import RunResult
from tsu_driver.schedules import Linear, Logarithmic, Schedule, Table
from tsu_driver.topology import Topology

__all__ = [
    "Batch",
    "Capabilities",
    "Capture",
    "Chip",
    "ChipFault",
    "Correlations",
    "Energy",
    "HostError",
    "Instruction",
    "Interrupt",
    "Linear",
    "Link",
    "LinkError",
    "LinkTimeout",
    "Logarithmic",
    "Opcode",
    "Outcome",
    "Programmed",
    "Quantised",
    "RunResult",
    "Schedule",
    "Table",
    "Ticket",
    "Topology",
    "TsuError",
    "ZmqLink",
    "__version__",
    "open",
    "quantise",
]
