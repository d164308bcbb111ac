"""Samplers that others wrote, in an environment of their own, each in a process of its own."""
