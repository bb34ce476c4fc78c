"""Limits of what may be created: of one owner, and of all owners together.

Guarantee: the script that registers an upload decides by these limits and registers it in one step, so that they hold
however many requests arrive at once. Sizes are in bytes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class CreationRate:
    """A bucket of creations that refills at a constant rate; `burst` is what it holds."""

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class OwnerLimits:
    """Limits of each owner. `waiting`: uploads that wait for room; `in_flight`: uploads from their admission to their
    end, imports and direct uploads from their creation; `bytes`: of the files of both; `bytes_per_day`: of the files of
    one day's uploads (UTC), None: no limit."""

    waiting: int
    in_flight: int
    bytes: int
    bytes_per_day: int | None
    creations: CreationRate


@dataclass(frozen=True, slots=True)
class CreationLimits:
    """`queue_uploads`: uploads of all owners in the status with which a new upload begins (`waiting`, `granted` or
    `processing`); `owner`: None without authentication, because all callers are then one owner."""

    queue_uploads: int
    owner: OwnerLimits | None = None

    def to_data(self) -> dict[str, Any]:
        """As JSON-serialisable data; limits that are None are left out."""
        data = asdict(self)
        if data["owner"] is None:
            del data["owner"]
        elif data["owner"]["bytes_per_day"] is None:
            del data["owner"]["bytes_per_day"]
        return data
