"""Counter-based randomness: every draw is a pure function of seed, stream and counter. docs/arithmetic.md, "Noise"."""
