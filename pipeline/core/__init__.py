"""The pure core: no await, no I/O, no clock of its own."""
