"""A timeline of a chip: functions of its firmware, interrupts, sequencer and analog events, for Perfetto."""

from tsu_emu.server.trace.recorder import Recorder

__all__ = ["Recorder"]
