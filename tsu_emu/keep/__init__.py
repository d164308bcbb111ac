"""Nothing is lost: `snapshot` and `records` are formats, `disk` the edge to the system, `keeper` keeps a daemon's life."""
