"""The analog side as free functions on arrays: converters, mismatch, p-bits. Nothing here knows of registers."""
