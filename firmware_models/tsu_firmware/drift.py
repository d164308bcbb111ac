"""Against drift: temperature by the sensor, and a watch that has offsets trimmed anew beyond a limit."""

from __future__ import annotations

from tsu_firmware import fixed
from tsu_firmware.machine import Again, Call, End, Goto, Machine, Routine
from tsu_firmware.offsets import LOOK, LOOK_READS, left
from tsu_firmware.quiet import set_plane_temperatures
from tsu_firmware.sequencer import ARGUMENTS
from tsu_firmware.servo import SERVO

ONE_Q16 = 1 << 16
MULTIPLIER_ONE, MULTIPLIER_MAX = 4096, 65535


def compensate(m: Machine, reference: int, coefficient: int, target: int, planes: bool) -> tuple[int, int, int]:
    """Sets TDAC so that T is the target although the noise temperature moves with the die's; if `planes`, the rest of TDAC's step
    goes into the multiplier of every plane. Returns sensor, code and multiplier.

    reference : what the sensor showed when T was right, K/64; coefficient : 2^-24 per K; target : T, Q16
    """
    lsb, top = m.read("CAP.TEMP_LSB"), (1 << m.read("CAP.TEMP_BITS")) - 1
    sensor, wanted = m.read("TEMP.SENSOR"), target << 12
    shift = fixed.ratio(coefficient * fixed.signed(sensor - reference) * 16, 64)
    code = min(max(fixed.ratio(wanted - shift, lsb), 1), top)
    made, multiplier = code * lsb + shift, MULTIPLIER_ONE
    m.write("TEMP.TDAC", code)
    if planes:
        multiplier = MULTIPLIER_MAX
        if made > 0:
            multiplier = min(max(fixed.ratio(MULTIPLIER_ONE * wanted, made), 1), MULTIPLIER_MAX)
        set_plane_temperatures(m, multiplier)
    return sensor, code, multiplier


def _temperature(m: Machine) -> End | None:
    words, count = m["arguments"].tolist(), m["header"] >> 8 & 0xFF
    target = words[2] if count > 2 else ONE_Q16
    if target == 0:
        return End(ARGUMENTS)
    planes = count > 3 and words[3] != 0
    m.answer(*compensate(m, fixed.signed(words[0]), fixed.signed(words[1]), target, planes))
    return None


TEMPERATURE_COMMAND = Routine((_temperature,))
"""SENSOR COEFFICIENT [T [PLANES]]."""


def _begin(m: Machine) -> End | None:
    m["watched"] = m["servos"] = m["seen"] = 0
    return End(ARGUMENTS) if m["header"] >> 8 & 0xFF == 4 else None


def _next_round(m: Machine) -> Goto | None:
    if m["watched"] == m["arguments"][0]:
        return Goto(_say)
    m["watched"] += 1
    m["deadline"] = m.now + int(m["arguments"][1])
    return None


def _wait(m: Machine) -> Again | None:
    return Again(m["deadline"] - m.now) if m.now < m["deadline"] else None


def _look(m: Machine) -> Call:
    words = m["arguments"].tolist()
    if m["header"] >> 8 & 0xFF > 4:
        compensate(m, fixed.signed(words[3]), fixed.signed(words[4]), ONE_Q16, False)
    m["reads"] = LOOK_READS
    return Call(LOOK)


def _judge(m: Machine) -> Call | Goto:
    m["seen"] = left(m) >> 8
    return Call(SERVO) if m["seen"] > m["arguments"][2] else Goto(_next_round)


def _trimmed(m: Machine) -> Goto:
    m["servos"] += 1
    return Goto(_next_round)


def _say(m: Machine) -> None:
    m.answer(m["servos"], m["seen"], m.read("TEMP.TDAC"))


WATCH_COMMAND = Routine((_begin, _next_round, _wait, _look, _judge, _trimmed, _say))
"""ROUNDS CYCLES LIMIT [SENSOR COEFFICIENT]: so many looks, so many cycles before each; the limit is of the rms, 2^-16 kT."""
