"""The commands of `tsu-emu`. They import what they need when they run, so that `--help` is quick."""
