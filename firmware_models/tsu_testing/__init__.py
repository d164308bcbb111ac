"""Tests of firmware on emulated chips: a pytest plugin, coverage, campaigns of faults; docs/firmware-testing.md."""
