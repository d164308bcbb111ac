"""The way in from a network: a process of its own that lets in who has a key, checks messages and hands on whole ones."""
