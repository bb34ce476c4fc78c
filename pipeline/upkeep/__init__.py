"""Upkeep: expiry, cleanup and orphaned data."""
