"""The lab bench round a chip: `instruments` and `oracle` turn requests into actions on it, without sockets; `client` asks an oracle."""
