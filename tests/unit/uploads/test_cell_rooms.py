"""What a gateway knows of the other cells, and how it spreads uploads between two readings."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, cast

import pytest

from pipeline.core.errors import StoreUnavailable
from pipeline.ports import PlainResponse, VolumeSnapshot
from pipeline.uploads.cell_rooms import CellRooms
from pipeline.uploads.placement import Chosen, NewFile, Placement
from schemas.health import Ready, Room
from schemas.http import Success

pytestmark = pytest.mark.unit

CELLS = {0: "https://a.example", 1: "https://b.example", 2: "https://c.example"}
OWN = VolumeSnapshot(1000, 0, 0, 5000, 5000, 0, 0, False)


def response(cell: int | None, available: int = 1000, *, waiting: int = 0, draining: bool = False) -> PlainResponse:
    room = Room(budget=1000, reserved=0, available=available, waiting=waiting, draining=draining)
    ready = Success[Ready](status=200, data=Ready(cell=cell, room=room))
    return PlainResponse(200, {}, ready.model_dump_json().encode())


class Cells:
    """The gateways of cells 1 and 2."""

    def __init__(self, first: Any, second: Any) -> None:
        self.first = first
        self.second = second
        self.requested: list[str] = []

    async def request(self, method: str, url: str, **options: Any) -> PlainResponse:
        self.requested.append(f"{method} {url}")
        found = self.first if url.startswith(CELLS[1]) else self.second
        if isinstance(found, Exception):
            raise found
        if found is None:
            await asyncio.Event().wait()  # never responds: the limit of its caller ends it
        return cast(PlainResponse, found)


async def own_room() -> VolumeSnapshot | None:
    return OWN


@pytest.mark.parametrize(
    "wrong",
    [
        StoreUnavailable(reason="no response"),
        PlainResponse(503, {}, b"{}"),
        PlainResponse(200, {}, b"<html>"),
        PlainResponse(200, {}, Success[Ready](status=200, data=Ready(cell=2)).model_dump_json().encode()),
        response(1),
        None,
    ],
    ids=["silent", "not ready", "another server", "room not known", "another cell", "hanging"],
)
async def test_a_cell_that_cannot_take_uploads(wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.uploads.cell_rooms._RESPONSE_SECONDS", 0.01)
    cells = Cells(response(1), wrong)
    async with CellRooms(0, CELLS, cast(Any, cells), own_room) as rooms:
        assert sorted(await rooms.ready()) == [0, 1]
    assert sorted(set(cells.requested)) == ["GET https://b.example/readyz", "GET https://c.example/readyz"]


async def test_a_gateway_of_the_previous_release_names_no_cell() -> None:
    async with CellRooms(0, CELLS, cast(Any, Cells(response(None), response(2))), own_room) as rooms:
        assert sorted(await rooms.ready()) == [0, 1, 2]


async def test_with_one_cell_nobody_is_asked() -> None:
    async with CellRooms(0, {}, cast(Any, None), own_room) as rooms:
        assert list(await rooms.ready()) == [0]


async def test_between_two_readings_uploads_are_spread() -> None:
    async def full() -> VolumeSnapshot | None:
        return VolumeSnapshot(1000, 1000, 0, 5000, 5000, 0, 0, False)

    cells = Cells(response(1, 1000), response(2, 900))
    async with CellRooms(0, CELLS, cast(Any, cells), full) as rooms:
        placement = Placement(rooms, cast(Any, None))
        chosen = [(await placement.choose(NewFile(300), as_home=False)).cell for _ in range(6)]
    assert chosen == [1, 2, 1, 2, 1, 2]


async def test_an_upload_that_takes_no_room_stays_unless_the_cell_is_drained() -> None:
    async def drained() -> VolumeSnapshot | None:
        return VolumeSnapshot(1000, 0, 0, 5000, 5000, 0, 0, True)

    cells = Cells(response(1, 10), response(2, 1000, draining=True))
    for own, expected in ((own_room, 0), (drained, 1)):
        async with CellRooms(0, CELLS, cast(Any, cells), own) as rooms:
            assert await Placement(rooms, cast(Any, None)).choose(NewFile(0), as_home=False) == Chosen(expected)
            assert await Placement(rooms, cast(Any, None)).another(NewFile(0)) == 1


async def test_a_key_whose_cell_does_not_respond_is_noted_for_another_one() -> None:
    class Claims:
        noted = 2

        async def known(self, key: str) -> bool:
            return False

        async def claim(self, key: str, cell: int, lost: Collection[int]) -> int:
            if self.noted in lost:
                self.noted = cell
            return self.noted

    new = NewFile(10, key="key")
    async with CellRooms(0, CELLS, cast(Any, Cells(response(1), response(2))), own_room) as rooms:
        assert await Placement(rooms, Claims()).choose(new, as_home=True) == Chosen(2)
    async with CellRooms(0, CELLS, cast(Any, Cells(response(1), StoreUnavailable(reason="x"))), own_room) as rooms:
        assert await Placement(rooms, Claims()).choose(new, as_home=True) == Chosen(0)
