"""A chip's life written down: a timeline for Perfetto, waveforms for wave viewers."""

from tsu_emu.server.trace.recorder import Recorder
from tsu_emu.server.trace.watching import Watching
from tsu_emu.server.trace.waveforms import Waveforms

__all__ = ["Recorder", "Watching", "Waveforms"]
