"""Which cell a new upload goes to. Pure functions over what the gateways of the cells report.

Rules: an upload stays in the cell that has received its creation if that cell has at least four fifths of the room of
the best one, so that few clients are redirected. Room is what could be reserved now, and none where uploads wait for
room already, since they get it first. A file that fits only elsewhere goes elsewhere. What must be in one cell, or be
found again, has an order of cells of its own (rendezvous hashing), which a cell that comes or goes changes only for
what that cell had.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_STAY: Final = (4, 5)
"""The fraction of the best cell's room with which an upload stays."""


@dataclass(frozen=True, slots=True)
class CellRoom:
    """What a cell reports that is ready and not drained: bytes, and the number of uploads that wait for room."""

    available_bytes: int
    waiting: int = 0

    @property
    def free_bytes(self) -> int:
        """What a new upload could have at once."""
        return 0 if self.waiting else max(0, self.available_bytes)


def by_room(own: int, rooms: Mapping[int, CellRoom], size_bytes: int) -> int:
    """The cell for a file of `size_bytes` (0: it takes no room). `rooms`: of the cells that take new uploads. `own`, if
    there are none."""
    if not rooms:
        return own
    if own in rooms and (not size_bytes or _stays(own, rooms, size_bytes)):
        return own
    return max(rooms, key=lambda cell: (rooms[cell].free_bytes, -rooms[cell].waiting, cell == own, -cell))


def in_order(name: str, cells: Iterable[int]) -> Sequence[int]:
    """The cells in the order of this name, its home first: the same in every process (highest random weight)."""
    return sorted(cells, key=lambda cell: (hashlib.sha256(f"{cell} {name}".encode()).digest(), cell), reverse=True)


def _stays(own: int, rooms: Mapping[int, CellRoom], size_bytes: int) -> bool:
    free, best = rooms[own].free_bytes, max(room.free_bytes for room in rooms.values())
    if free < size_bytes <= best:
        return False
    part, whole = _STAY
    return free * whole >= best * part
