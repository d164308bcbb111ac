"""The lab bench round a chip: `instruments` and `oracle` act on it, without sockets; `client` asks an oracle."""
