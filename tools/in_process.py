"""Chips in this process, for tools: `tsu_testing.in_process`."""

from tsu_testing.in_process import InProcessChip, InProcessInstruments, InProcessLink, InProcessOracle, open_in_process

__all__ = ["InProcessChip", "InProcessInstruments", "InProcessLink", "InProcessOracle", "open_in_process"]
