"""The daemon round a chip: `session` turns bytes into bytes without sockets, `daemon` has the sockets and the wall clock."""
