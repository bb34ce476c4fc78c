"""Counters and limits of owners, on a Redis of each version: decided by the script that registers an upload."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from pipeline.adapters.redis.reads import hash_all, now_ms
from pipeline.adapters.redis.scripts import Scripts
from pipeline.adapters.redis.upload_board import RedisUploadBoard
from pipeline.bootstrap import RedisParts
from pipeline.core.access import Permit
from pipeline.core.creation_limits import CreationLimits, CreationRate, OwnerLimits
from pipeline.core.errors import AccessError, LimitReached, RequestError, SluiceError
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import Upload
from pipeline.core.stored_objects import ObjectVersion
from pipeline.core.transports import Transport
from tests.contract.redis.uploads import Play
from tests.harness.new_uploads import new_upload
from tests.harness.redis_calls import reply
from tests.harness.redis_versions import RedisServer

pytestmark = pytest.mark.contract

OWNER = "ann"
SIZE = 25
FREE = OwnerLimits(10**6, 10**6, 2**50, None, CreationRate(1e6, 10**6))
BEGINS = {Transport.GATEWAY: "waiting", Transport.DIRECT: "in_flight", Transport.IMPORT: "in_flight"}


@pytest.fixture
def redis_url(each_redis: RedisServer) -> str:
    """On each version in turn."""
    return each_redis.url


def limited(parts: RedisParts, queue_uploads: int = 10**6, *, owners: bool = True, **more: Any) -> RedisUploadBoard:
    """A board with these limits."""
    own = replace(FREE, **more) if owners else None
    scripts = Scripts(parts.client, parts.keys.prefix)
    return RedisUploadBoard(
        parts.client, scripts, parts.keys, 60_000, empty_ms=60_000, limits=CreationLimits(queue_uploads, own)
    )


async def make(board: RedisUploadBoard, transport: Transport = Transport.GATEWAY, **more: Any) -> Upload:
    if transport is Transport.IMPORT:
        more["source"] = ObjectVersion("sluice", "raw/a.mp4", "etag")
    return (await board.create(new_upload(**{"owner": OWNER, "size_bytes": SIZE, "transport": transport} | more)))[0]


async def refused(board: RedisUploadBoard, **more: Any) -> SluiceError:
    with pytest.raises(SluiceError) as error:
        await make(board, **more)
    return error.value


async def counters(parts: RedisParts, owner: str = OWNER) -> dict[str, int]:
    return {name: int(value) for name, value in (await hash_all(parts.client, parts.keys.owner(owner))).items()}


async def of_today(parts: RedisParts, owner: str = OWNER) -> int:
    day = await now_ms(parts.client) // 86_400_000
    return int(await parts.client.get(f"{parts.keys.prefix}owner-day:{day}:{owner}") or 0)


# -- counters


async def test_counters_move_with_the_status_and_vanish_at_zero(parts: RedisParts, play: Play) -> None:
    waiting, other = await make(play.board), await make(play.board)
    assert await counters(parts) == {"waiting": 2, "bytes": 2 * SIZE}
    await play.board.apply(waiting.upload_id, Event.ADMIT)
    assert await counters(parts) == {"waiting": 1, "in_flight": 1, "bytes": 2 * SIZE}
    for event in (Event.SEGMENT_RECEIVED, Event.ALL_RECEIVED, Event.SEGMENT_LOST, Event.ALL_RECEIVED):
        await play.board.apply(waiting.upload_id, event)
        assert await counters(parts) == {"waiting": 1, "in_flight": 1, "bytes": 2 * SIZE}
    await play.board.apply(waiting.upload_id, Event.PERSISTED)
    assert await counters(parts) == {"waiting": 1, "bytes": SIZE}
    for _ in range(2):
        await play.board.apply(other.upload_id, Event.CANCEL)
        assert await parts.client.exists(parts.keys.owner(OWNER)) == 0


async def test_an_upload_from_before_there_were_owners_is_not_counted(parts: RedisParts, play: Play) -> None:
    upload = await make(play.board)
    await reply(parts.client.hdel(parts.keys.upload(upload.upload_id), "owner"))
    await parts.client.delete(parts.keys.owner(OWNER))
    await play.board.apply(upload.upload_id, Event.CANCEL)
    assert not [key for key in await play.keys() if ":owner:" in key]
    assert await parts.owners.compare() == []


async def test_wrong_counters_are_found_and_corrected(parts: RedisParts, play: Play) -> None:
    upload = await make(play.board)
    await play.board.apply(upload.upload_id, Event.ADMIT)
    await make(play.board, owner="bob")
    assert await parts.owners.compare() == []
    await reply(parts.client.hset(parts.keys.owner(OWNER), mapping={"waiting": 7, "bytes": 1}))
    await parts.client.delete(parts.keys.owner("bob"))
    await reply(parts.client.hset(parts.keys.owner("nobody|of them"), "in_flight", "3"))
    wrong = {item.owner: (dict(item.counted), dict(item.actual)) for item in await parts.owners.compare(repair=True)}
    assert wrong == {
        OWNER: ({"waiting": 7, "in_flight": 1, "bytes": 1}, {"waiting": 0, "in_flight": 1, "bytes": SIZE}),
        "bob": ({"waiting": 0, "in_flight": 0, "bytes": 0}, {"waiting": 1, "in_flight": 0, "bytes": SIZE}),
        "nobody|of them": ({"waiting": 0, "in_flight": 3, "bytes": 0}, {"waiting": 0, "in_flight": 0, "bytes": 0}),
    }
    assert await parts.owners.compare() == []
    assert await counters(parts) == {"in_flight": 1, "bytes": SIZE}
    assert await parts.client.exists(parts.keys.owner("nobody|of them")) == 0


# -- limits of an owner


@pytest.mark.parametrize("transport", BEGINS)
async def test_an_owner_has_so_many_uploads_at_once(parts: RedisParts, transport: Transport) -> None:
    limit = BEGINS[transport]
    board = limited(parts, **dict[str, Any]({limit: 2}))
    kept = [await make(board, transport) for _ in range(2)]
    error = await refused(board, transport=transport)
    assert (error.code, error.http_status, error.detail["limit"], error.detail["value"]) == (
        "OWNER_LIMIT",
        429,
        limit,
        2,
    )
    assert error.detail["retry_after_seconds"] > 0
    await make(board, transport, owner="bob")
    await board.apply(kept[0].upload_id, Event.CANCEL)
    await make(board, transport)
    assert (await refused(board, transport=transport)).code == "OWNER_LIMIT"


async def test_uploads_that_were_admitted_wait_no_more(parts: RedisParts) -> None:
    board = limited(parts, waiting=1, in_flight=1)
    for _ in range(3):  # how many of them are in flight is decided by admission
        await board.apply((await make(board)).upload_id, Event.ADMIT)
    assert (await refused(board, transport=Transport.DIRECT)).detail["limit"] == "in_flight"


async def test_an_owner_has_so_many_bytes_waiting_and_in_flight(parts: RedisParts) -> None:
    board = limited(parts, bytes=3 * SIZE)
    first = await make(board)
    await board.apply(first.upload_id, Event.ADMIT)
    await make(board, Transport.DIRECT)
    error = await refused(board, size_bytes=SIZE + 1)
    assert (error.code, error.detail["limit"], error.detail["value"]) == ("OWNER_LIMIT", "bytes", 3 * SIZE)
    await make(board, size_bytes=SIZE)
    await board.apply(first.upload_id, Event.FAIL)
    await make(board, size_bytes=SIZE)


@pytest.mark.parametrize("limit", ["bytes", "bytes_per_day"])
async def test_a_file_that_can_never_be_created_is_no_matter_of_waiting(parts: RedisParts, limit: str) -> None:
    error = await refused(limited(parts, **dict[str, Any]({limit: SIZE - 1})))
    assert (error.code, error.http_status, error.retryable) == ("FILE_TOO_LARGE_FOR_OWNER", 413, False)
    assert error.detail == {"size_bytes": SIZE, "limit": limit, "value": SIZE - 1}
    assert isinstance(error, RequestError)


async def test_requests_at_once_do_not_exceed_a_limit(parts: RedisParts) -> None:
    several: list[dict[str, Any]] = [{"waiting": 5}, {"bytes": 5 * SIZE + SIZE - 1}, {"bytes_per_day": 5 * SIZE}]
    for limits in several:
        owner = next(iter(limits))
        board = limited(parts, **limits)
        made = await asyncio.gather(*(make(board, owner=owner) for _ in range(30)), return_exceptions=True)
        assert sum(isinstance(one, Upload) for one in made) == 5
        assert all(isinstance(one, Upload | LimitReached) for one in made)


# -- the queue


async def test_the_queue_is_bounded_also_without_owners(parts: RedisParts) -> None:
    board = limited(parts, 3, owners=False)
    made = await asyncio.gather(*(make(board, owner=f"o{number}") for number in range(10)), return_exceptions=True)
    kept = [one for one in made if isinstance(one, Upload)]
    assert len(kept) == 3
    error = await refused(board)
    assert (error.code, error.http_status, error.detail["value"]) == ("QUEUE_FULL", 429, 3)
    await board.apply(kept[0].upload_id, Event.ADMIT)
    await make(board)


@pytest.mark.parametrize("transport", [Transport.DIRECT, Transport.TOKEN, Transport.IMPORT])
async def test_uploads_that_wait_for_nothing_are_bounded_too(parts: RedisParts, transport: Transport) -> None:
    board = limited(parts, 2, owners=False)
    kept = [await make(board, transport) for _ in range(2)]
    assert (await refused(board, transport=transport)).code == "QUEUE_FULL"
    await make(board)
    await board.apply(kept[0].upload_id, Event.CANCEL)
    await make(board, transport)


# -- bytes per day


async def test_what_was_not_received_is_given_back(parts: RedisParts, play: Play) -> None:
    board = limited(parts, bytes_per_day=2 * SIZE)
    play.board = board
    first, second = await make(board), await make(board)
    error = await refused(board, size_bytes=1)
    now = await now_ms(parts.client)
    assert (error.code, error.detail["value"]) == ("DAILY_LIMIT", 2 * SIZE)
    assert abs(error.detail["retry_after_seconds"] - (86_400 - now / 1000 % 86_400)) < 60
    await board.apply(first.upload_id, Event.ADMIT)
    await play.receive(first, 1)
    await board.apply(first.upload_id, Event.CANCEL)
    assert await of_today(parts) == SIZE + 10, "a segment of 10 bytes was received"
    await make(board, size_bytes=15)
    await board.apply(second.upload_id, Event.EXPIRE)
    assert await of_today(parts) == 10 + 15
    ttl = await parts.client.pttl(f"{parts.keys.prefix}owner-day:{now // 86_400_000}:{OWNER}")
    assert 86_400_000 - 60_000 < ttl <= 2 * 86_400_000


async def test_a_content_counts_wholly_and_so_does_what_a_client_may_have_sent_to_the_store(
    parts: RedisParts, play: Play
) -> None:
    direct, unused = await make(play.board, Transport.DIRECT), await make(play.board, Transport.DIRECT)
    await play.board.record_grant(direct.upload_id, 60)
    for upload in (direct, unused):
        await play.board.apply(upload.upload_id, Event.CANCEL)
    assert await of_today(parts) == SIZE
    imported = await make(play.board, Transport.IMPORT)
    await play.board.apply(imported.upload_id, Event.PERSISTED)
    assert await of_today(parts) == 2 * SIZE


# -- how often


async def test_creations_come_from_a_bucket_that_refills(parts: RedisParts) -> None:
    board = limited(parts, creations=CreationRate(per_second=0.01, burst=3))
    for _ in range(3):
        await make(board)
    error = await refused(board)
    assert (error.code, error.http_status, error.detail["what"]) == ("RATE_LIMITED", 429, "creations")
    assert 40 < error.detail["retry_after_seconds"] <= 100
    await make(board, owner="bob")
    bucket = f"{parts.keys.prefix}owner-rate:{OWNER}"
    full_at_ms = float(await parts.client.get(bucket) or 0)
    await parts.client.set(bucket, full_at_ms - 100_000, keepttl=True)  # as if as much time had passed
    await make(board)
    assert (await refused(board)).code == "RATE_LIMITED"
    assert 0 < await parts.client.pttl(bucket) <= 300_000


async def test_a_refused_creation_costs_no_use_of_its_permit(parts: RedisParts) -> None:
    permit = Permit("p", 2**40, count=2)
    full, free = limited(parts, waiting=1), limited(parts)
    await make(full, permit=permit)
    assert (await refused(full, permit=permit)).code == "OWNER_LIMIT"
    await make(free, permit=permit)
    with pytest.raises(AccessError):
        await make(free, permit=permit)


async def test_a_permit_is_not_renewed_by_its_expiry(parts: RedisParts) -> None:
    """A gateway accepts it for a few seconds more, and its clock may be slow."""
    permit = Permit("p", int(time.time()) - 60, count=1)
    board = limited(parts)
    await make(board, permit=permit)
    await asyncio.sleep(0.01)  # a counter that lasts until the expiry would be gone
    with pytest.raises(AccessError) as error:
        await make(board, permit=permit)
    assert error.value.code == "PERMIT_EXCEEDED"


async def test_a_known_key_is_answered_at_every_limit(parts: RedisParts) -> None:
    strict = limited(
        parts, 1, waiting=1, bytes=SIZE, bytes_per_day=SIZE, creations=CreationRate(per_second=0.001, burst=1)
    )
    first = await make(strict, idempotency_key="k", fingerprint="f")
    for _ in range(3):
        again, created = await strict.create(new_upload(owner=OWNER, idempotency_key="k", fingerprint="f"))
        assert (again.upload_id, created) == (first.upload_id, False)
    assert (await refused(strict, fingerprint="g", idempotency_key="k")).code == "IDEMPOTENCY_KEY_REUSED"
    assert (await refused(strict)).code == "RATE_LIMITED"
    assert (await strict.get(first.upload_id)).status is Status.WAITING
