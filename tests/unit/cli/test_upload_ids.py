"""Ids as people type them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy.cli.client import SluiceClient
from deploy.cli.upload_ids import UploadIdError, find_upload_id

pytestmark = pytest.mark.unit

FIRST = "01890000-0000-7000-8000-000000000001"
SECOND = "01890000-0000-7000-8000-000000000002"
OTHER = "018a0000-0000-7000-8000-000000000003"


class Pages:
    """A list of uploads with one upload on each page."""

    def __init__(self, *ids: str) -> None:
        self.ids = ids
        self.requests = 0

    async def uploads(self, *, limit: int, cursor: str | None) -> Any:
        self.requests += 1
        number = int(cursor or 0)
        following = str(number + 1) if number + 1 < len(self.ids) else None
        items = [SimpleNamespace(id=self.ids[number])]
        return SimpleNamespace(items=items, next_cursor=following, unreachable_cells=[])


async def find(text: str, *ids: str) -> tuple[str, int]:
    pages = Pages(*ids)
    return await find_upload_id(cast(SluiceClient, pages), text), pages.requests


async def test_a_whole_id_is_not_looked_up() -> None:
    assert await find(f" {FIRST.upper()} ") == (FIRST, 0)


@pytest.mark.parametrize("text", ["018a", "018A0000-", OTHER[:-1]])
async def test_a_beginning_that_one_upload_has_is_enough(text: str) -> None:
    assert await find(text, FIRST, SECOND, OTHER) == (OTHER, 3)


async def test_a_beginning_of_several_ids_lists_them_on_one_line() -> None:
    with pytest.raises(UploadIdError) as error:
        await find("0189", FIRST, SECOND, OTHER)
    assert str(error.value) == f"2 uploads have an id that begins with 0189: {FIRST}, {SECOND}."


async def test_of_many_ids_ten_are_listed() -> None:
    ids = [f"01890000-0000-7000-8000-{number:012}" for number in range(13)]
    with pytest.raises(UploadIdError, match=r"13 uploads .*000000000009 and 3 more\.$"):
        await find("0", *ids)


async def test_an_upload_that_moves_to_the_next_page_is_counted_once() -> None:
    assert (await find("0189", FIRST, FIRST))[0] == FIRST


async def test_a_beginning_that_no_upload_has_is_an_error() -> None:
    with pytest.raises(UploadIdError, match="No upload has an id that begins with ff"):
        await find("ff", FIRST)


@pytest.mark.parametrize("text", ["film.mp4", "", "../contents", "01890000?x=1", "a\nb", "0" * 37])
async def test_text_that_cannot_be_the_beginning_of_an_id_is_refused_without_a_request(text: str) -> None:
    with pytest.raises(UploadIdError, match="neither the id of an upload nor"):
        await find(text)
