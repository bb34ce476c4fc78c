"""Adapters: each implements a port and translates its driver's errors into those of `pipeline.core.errors`."""
