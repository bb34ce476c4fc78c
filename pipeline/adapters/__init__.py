"""Adapters: each implements a port; a driver's errors are translated once, at this edge."""
