"""What a gateway keeps and reads to choose the cell of a new upload."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol


class PlacementClaims(Protocol):
    """In which cell the upload of an Idempotency-Key is created. Keys are scoped (`uploads.permits.scoped_key`).
    Errors: DependencyUnavailable."""

    async def known(self, key: str) -> bool:
        """Whether this cell has created an upload with the key."""

    async def claim(self, key: str, cell: int, lost: Collection[int]) -> int:
        """Note that the upload of the key is created in `cell`, unless another cell is noted already that is not one of
        `lost`; the cell that is noted now. Atomic and idempotent."""
