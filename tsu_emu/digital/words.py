"""Word numbers and bits of the registers that hardware reads or writes, as constants that compiled code can freeze."""

from tsu_contract.registers import access_table, register, value_of

_word = access_table().word


def _bit(name: str, field: str) -> int:
    return register(name).fields[field].mask


CTRL, ERROR = _word("SYS.CTRL"), _word("SYS.ERROR")
CYCLE_LOW, BOOT = _word("SYS.CYCLE"), _word("SYS.BOOT")
MAP_HASH = _word("SYS.MAP_HASH")
IRQ_PENDING, IRQ_ENABLE, IRQ_TEST = _word("IRQ.PENDING"), _word("IRQ.ENABLE"), _word("IRQ.TEST")
SEQ_CTRL, SEQ_STATUS, SEQ_PC = _word("SEQ.CTRL"), _word("SEQ.STATUS"), _word("SEQ.PC")
SWEEPS_LEFT = _word("SEQ.SWEEPS_LEFT")
TDAC = _word("TEMP.TDAC")
SCAN = _word("FABRIC.SCAN")
FABRIC_STATUS, PLANE_ENABLE = _word("FABRIC.STATUS"), _word("FABRIC.PLANE_ENABLE")
CORR_CTRL, CORR_PERIOD, CORR_COUNT = _word("CORR.CTRL"), _word("CORR.PERIOD"), _word("CORR.COUNT")
SENSOR = _word("TEMP.SENSOR")
ADC_MUX, ADC_ELEMENT, ADC_PERIOD, ADC_MODE, ADC_CLIPPED = (
    _word(f"ADC.{r}") for r in ("MUX", "ELEMENT", "PERIOD", "MODE", "CLIPPED")
)
PHYS_TIME, ENERGY = _word("MON.PHYS_TIME"), _word("MON.ENERGY")
ENERGIES = tuple(_word(f"MON.ENERGY_{part}") for part in ("UPDATE", "READ", "WRITE", "ADC", "STANDBY"))
CORR_ALPHA = (_word("CORR.ALPHA_DATA"), _word("CORR.ALPHA_FREE"))
CORR_PLANES = (_word("CORR.DATA_PLANES"), _word("CORR.FREE_PLANES"))

RESET = _bit("SYS.CTRL", "RESET")
START, STOP, STEP = (_bit("SEQ.CTRL", f) for f in ("START", "STOP", "STEP"))
CORR_ENABLE, CORR_CLEAR, CORR_LATCH = (_bit("CORR.CTRL", f) for f in ("ENABLE", "CLEAR", "LATCH"))
ERROR_SEQ_FAULT, ERROR_START_BUSY, ERROR_UNSTABLE = (_bit("SYS.ERROR", f) for f in ("SEQ_FAULT", "START_BUSY", "UNSTABLE"))
IRQ_SEQ_DONE, IRQ_SEQ_IRQ, IRQ_SEQ_FAULT, IRQ_SEQ_STOPPED, IRQ_BOOT = (
    _bit("IRQ.PENDING", f) for f in ("SEQ_DONE", "SEQ_IRQ", "SEQ_FAULT", "SEQ_STOPPED", "BOOT")
)
SETTLED = _bit("FABRIC.STATUS", "SETTLED")
SCAN_PALINDROMIC, SCAN_RANDOM = (value_of("FABRIC.SCAN.ORDER", s) for s in ("PALINDROMIC", "RANDOM"))

IDLE, RUNNING, HALTED, STOPPED, FAULTED = (
    value_of("SEQ.STATUS.STATE", s) for s in ("IDLE", "RUNNING", "HALTED", "STOPPED", "FAULTED")
)
FAULT_ILLEGAL, FAULT_LOOP_OVERFLOW, FAULT_LOOP_UNDERFLOW, FAULT_PC_OVERRUN = (
    value_of("SEQ.STATUS.FAULT", s) for s in ("ILLEGAL", "LOOP_OVERFLOW", "LOOP_UNDERFLOW", "PC_OVERRUN")
)
ADC_HOLD = _bit("ADC.MODE", "HOLD")
CONVERTER_SHIFT = register("ADC.MUX").fields["CONVERTER"].low
MUX_CELL, MUX_COUPLING, MUX_BIAS, MUX_TEMP, MUX_LOW, MUX_HIGH, MUX_EXTERNAL = (
    value_of("ADC.MUX.SOURCE", s) for s in ("CELL", "COUPLING_DAC", "BIAS_DAC", "TEMP_DAC", "REF_LOW", "REF_HIGH", "EXTERNAL")
)
FAULT_SHIFT = register("SEQ.STATUS").fields["FAULT"].low
BOOT_READY = value_of("SYS.BOOT.STAGE", "READY")
