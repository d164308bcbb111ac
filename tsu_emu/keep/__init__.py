"""What outlives a process: snapshots of a chip and its sessions, and the journal of what was accepted."""
