"""Pydantic models of everything that crosses a process boundary. Imports no other package of Sluice."""
