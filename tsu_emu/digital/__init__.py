"""The digital side: registers, sequencer, correlator, operation validation. Nothing here knows of the physics."""
