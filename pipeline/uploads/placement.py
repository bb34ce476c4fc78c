"""Chooses the cell of a new upload, with what other gateways have chosen for the same Idempotency-Key.

Guarantee: a repeated creation with the same Idempotency-Key finds its upload, whichever gateways receive it and however
the rooms change. A cell that knows the key has the upload. Otherwise the key has a home, the first cell in its order
that is ready, whose Redis keeps in which cell the upload is created. If the home does not respond, the next cell in the
order takes its place; if the cell that was chosen does not respond, another one is chosen. Only then may a repetition
create a second upload. The first one expires by itself, since no bytes of it arrive.

What must be in one cell, such as the uploads of a permit, goes to the first cell in its order that takes new uploads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.core.errors import DependencyUnavailable
from pipeline.core.placement import by_room, in_order
from pipeline.ports.cells import PlacementClaims
from pipeline.uploads.cell_rooms import CellRooms, ReadyCell


@dataclass(frozen=True, slots=True)
class NewFile:
    """What decides about the cell of a new upload. `size_bytes`: the room that it takes; 0: none. `key`: its scoped
    Idempotency-Key. `fixed`: what must be in one cell has the same name here. `moves`: it goes to another cell for more
    room, not only where this one cannot take it."""

    size_bytes: int
    key: str | None = None
    fixed: str | None = None
    moves: bool = True


@dataclass(frozen=True, slots=True)
class Chosen:
    """Where the request goes. `as_home`: that cell chooses, since it is the home of the key."""

    cell: int
    as_home: bool = False


class Placement:
    """Of the gateway of one cell."""

    def __init__(self, rooms: CellRooms, claims: PlacementClaims) -> None:
        self.rooms = rooms
        self._claims = claims

    async def choose(self, new: NewFile, *, as_home: bool) -> Chosen:
        """The cell for a new upload. `as_home`: another gateway has found that this cell is the home of its key. This
        cell, if no cell takes new uploads. Raises DependencyUnavailable where this cell is the home."""
        ready = await self.rooms.ready()
        own = self.rooms.own
        if new.key is not None and own in ready and await self._knows(new.key):
            return Chosen(own)
        if new.fixed is not None:
            return Chosen(next(iter(in_order(new.fixed, _taking(ready))), own))
        if new.key is None:
            return Chosen(self._by_room(new, ready))
        home = next(iter(in_order(new.key, ready)), own)
        if home != own and not as_home:
            return Chosen(home, as_home=True)
        return Chosen(await self._claimed(new.key, self._by_room(new, ready), ready))

    async def another(self, new: NewFile) -> int | None:
        """Another cell that takes an upload which this cell cannot take; None: there is none."""
        ready = await self.rooms.ready()
        others = {cell: other for cell, other in _taking(ready).items() if cell != self.rooms.own}
        if not others:
            return None
        if new.fixed is not None:
            return in_order(new.fixed, others)[0]
        cell = by_room(self.rooms.own, {cell: other.room for cell, other in others.items()}, new.size_bytes)
        if new.key is not None and self.rooms.own in ready:
            cell = await self._claimed(new.key, cell, others)
        self.rooms.sent(cell, new.size_bytes)
        return cell

    def _by_room(self, new: NewFile, ready: Mapping[int, ReadyCell]) -> int:
        own, taking = self.rooms.own, _taking(ready)
        if own in taking and not new.moves:
            return own
        cell = by_room(own, {cell: other.room for cell, other in taking.items()}, new.size_bytes)
        if cell != own:
            self.rooms.sent(cell, new.size_bytes)
        return cell

    async def _claimed(self, key: str, cell: int, usable: Mapping[int, ReadyCell]) -> int:
        return await self._claims.claim(key, cell, [other for other in self.rooms.cells if other not in usable])

    async def _knows(self, key: str) -> bool:
        try:
            return await self._claims.known(key)
        except DependencyUnavailable:  # then the creation fails too, or another cell is the home
            return False


def _taking(ready: Mapping[int, ReadyCell]) -> Mapping[int, ReadyCell]:
    return {cell: other for cell, other in ready.items() if other.takes}
