"""Vector instructions: what AVX-512 does in one go, as values and functions that compiled code may use."""
