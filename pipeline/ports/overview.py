"""The state of a cell, and the samples of it over the last hour."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from schemas.overview import Overview


class CellOverview(Protocol):
    """Reads what operators see. Errors: DependencyUnavailable."""

    async def read(self, history_after: datetime | None = None) -> Overview:
        """The state now, with the samples that are later than `history_after`. Its cost is bounded, however many
        uploads there are. Its parts are read one after the other, so sums may differ by what changes meanwhile."""


class Samples(Protocol):
    """Keeps samples of the counters. Errors: DependencyUnavailable."""

    async def keep(self, volume: str) -> None:
        """Add a sample unless the latest one is young. Any number of processes may call it at any time."""
