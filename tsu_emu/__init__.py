"""The chip in software: a cycle- and noise-accurate thermodynamic sampling unit behind a register protocol."""

__version__ = "0.1.0"
