"""A final upload takes over the segments of its parts in one step, on the real boards."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from pipeline.bootstrap import RedisParts
from pipeline.core.errors import RequestError
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import Upload
from pipeline.core.stages import Stage
from pipeline.core.stored_objects import Place
from pipeline.core.transports import Transport
from tests.contract.redis.joining import OWNER, held_part, new_final
from tests.contract.redis.test_owner_limits import limited, of_today
from tests.contract.redis.uploads import Play
from tests.harness.redis_calls import reply

pytestmark = pytest.mark.contract


async def refusal(play: Play, *parts: Upload) -> str:
    before = await play.keys()
    with pytest.raises(RequestError) as refused:
        await play.board.create(new_final(parts))
    assert await play.keys() == before, "a refused final upload leaves nothing"
    return refused.value.code


async def test_the_segments_of_the_parts_are_those_of_the_final_upload(play: Play) -> None:
    second, first = await held_part(play, 2), await held_part(play, 1)
    assert (first.status, second.status) == (Status.HELD, Status.HELD)
    final, created = await play.board.create(new_final([first, second]))
    assert (created, final.status, final.size_bytes, final.concat) == (True, Status.PROCESSING, 20, "final;a b")
    stored = await play.segments.stored(final)
    assert [(item.number, item.size_bytes, item.etag) for item in stored] == [
        (1, 5, "etag-1"), (2, 10, "etag-1"), (3, 5, "etag-2"),
    ]  # fmt: skip
    own, other = first.upload_id, second.upload_id
    assert [item.place for item in stored] == [Place(own, 1), Place(other, 1), Place(other, 2)]
    assert (final.segments_stored, final.bytes_stored) == (3, 20)
    assert set(play.by_stage(final.queued_jobs)) == {Stage.SEAL, Stage.PROBE}
    for part in (first, second):
        ended = await play.board.get(part.upload_id)
        assert (ended.status, ended.joined_to) == (Status.JOINED, final.upload_id)


@pytest.mark.parametrize("shared", [0, 1])
async def test_of_two_final_uploads_at_once_one_gets_the_parts(play: Play, shared: int) -> None:
    parts = [await held_part(play) for _ in range(3)]
    lists = [[parts[0], parts[shared]], [parts[shared], parts[2]]] if shared else [parts[:2], [parts[1], parts[0]]]
    found = await asyncio.gather(*(play.board.create(new_final(item)) for item in lists), return_exceptions=True)
    (won,) = [item for item in found if isinstance(item, tuple)]
    (lost,) = [item for item in found if isinstance(item, RequestError)]
    assert lost.code == "PARTIAL_UPLOAD_USED"
    assert {part.upload_id for part in won[0].parts} == {
        part.upload_id for part in parts if (await play.board.get(part.upload_id)).joined_to == won[0].upload_id
    }


async def test_the_same_parts_are_the_same_final_upload_while_it_lives(play: Play) -> None:
    parts = [await held_part(play), await held_part(play)]
    final, _ = await play.board.create(new_final(parts))
    again, created = await play.board.create(new_final(parts, filename="other.mp4"))
    assert (again.upload_id, created) == (final.upload_id, False)
    assert await refusal(play, parts[1], parts[0]) == "PARTIAL_UPLOAD_USED"
    await play.board.apply(final.upload_id, Event.CANCEL)
    assert await refusal(play, *parts) == "PARTIAL_UPLOAD_USED"


async def test_what_cannot_be_joined(play: Play) -> None:
    part = await held_part(play)
    ordinary, foreign = await play.admitted(owner=OWNER), await held_part(play)
    await reply(play.parts.client.hset(play.parts.keys.upload(foreign.upload_id), "owner", "bob"))
    incomplete = await play.admitted(transport=Transport.PARTIAL, owner=OWNER)
    expired = await held_part(play)
    assert (await play.board.apply(expired.upload_id, Event.EXPIRE))[0] is Status.EXPIRED
    for other, code in (
        (foreign, "UPLOAD_NOT_FOUND"),
        (replace(part, upload_id="unknown"), "UPLOAD_NOT_FOUND"),
        (ordinary, "PARTIAL_UPLOADS_NOT_STORED"),
        (incomplete, "PARTIAL_UPLOADS_NOT_STORED"),
        (expired, "PARTIAL_UPLOADS_NOT_STORED"),
    ):
        assert await refusal(play, part, other) == code
    assert (await play.board.get(part.upload_id)).status is Status.HELD


async def test_a_joined_part_neither_expires_nor_can_be_cancelled(play: Play) -> None:
    part = await held_part(play)
    assert list(await play.board.ids(Status.HELD, 0, 10)) == [part.upload_id]
    await play.board.create(new_final([part]))
    assert list(await play.board.ids(Status.HELD, 0, 10)) == []
    for event in (Event.EXPIRE, Event.CANCEL, Event.FAIL):
        assert await play.board.apply(part.upload_id, event) == (Status.JOINED, False)


async def test_bytes_are_counted_once(play: Play, parts: RedisParts) -> None:
    """Also where the owner has reached its limits: a final upload adds nothing to what its parts have."""
    held = [await held_part(play), await held_part(play, 1)]

    async def counted() -> list[str | None]:
        return list(await reply(parts.client.hmget(parts.keys.owner(OWNER), ["in_flight", "bytes"])))

    assert (await counted(), await of_today(parts)) == (["2", "20"], 20)
    board = limited(parts, bytes=20, bytes_per_day=20)
    final, _ = await board.create(new_final(held))
    assert (await counted(), await of_today(parts)) == (["1", "20"], 20)
    await board.apply(final.upload_id, Event.CANCEL)
    assert (await counted(), await of_today(parts)) == ([None, None], 20)


async def test_a_held_part_has_no_deadline_for_its_bytes(play: Play, parts: RedisParts) -> None:
    part = await held_part(play)
    await reply(parts.client.zadd(f"{parts.keys.volume(part.volume)}:deadlines", {part.upload_id: 1}))
    assert list(await parts.ledger.overdue(10)) == []
