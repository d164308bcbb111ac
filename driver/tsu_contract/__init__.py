"""What the host and the chip agree on: registers, windows, sequencer, wire. No input or output, nothing of ours imported."""

PROTOCOL_MAJOR = 1
"""Version of the protocol in every header, and in SYS.ID."""
