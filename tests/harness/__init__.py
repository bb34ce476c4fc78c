"""Helpers that tests share: cells, servers, faults, sample media."""
