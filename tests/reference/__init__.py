"""A second implementation of the chip, from the datasheet alone, and tests that hold the emulator against it."""
