"""How long the record of an ended upload is kept, and its Idempotency-Key."""

from __future__ import annotations

import pytest

from pipeline.adapters.redis.scripts import Scripts
from pipeline.adapters.redis.upload_board import RedisUploadBoard
from pipeline.bootstrap import RedisParts
from pipeline.core.creation_limits import CreationLimits, CreationRate, OwnerLimits
from pipeline.core.errors import RequestError
from pipeline.core.lifecycle import Event
from pipeline.core.model import Upload
from pipeline.core.stored_objects import ObjectVersion, StoredSegment
from pipeline.core.transports import Transport
from tests.contract.redis.uploads import Play, until
from tests.harness.new_uploads import new_upload

pytestmark = pytest.mark.contract

LONG_MS, SHORT_MS = 600_000, 60_000


@pytest.fixture
def board(parts: RedisParts, play: Play) -> RedisUploadBoard:
    scripts = Scripts(parts.client, parts.keys.prefix)
    play.board = RedisUploadBoard(parts.client, scripts, parts.keys, LONG_MS, empty_ms=SHORT_MS)
    return play.board


async def kept_ms(parts: RedisParts, upload: Upload) -> tuple[int, int]:
    """For how long the record and the Idempotency-Key of an upload are kept, rounded to a known time."""
    await parts.board.purge_expired(10)
    times = [await parts.client.pttl(parts.keys.upload(upload.upload_id))]
    times.append(await parts.client.pttl(f"{parts.keys.prefix}idempotency:{upload.upload_id}"))
    due = await parts.client.zscore(f"{parts.keys.prefix}retired", upload.upload_id)
    assert due is not None
    return tuple(min((LONG_MS, SHORT_MS), key=lambda known: abs(known - time)) for time in times)  # type: ignore[return-value]  # two


async def keyed(board: RedisUploadBoard, transport: Transport = Transport.GATEWAY) -> Upload:
    source = ObjectVersion("sluice", "raw", "etag") if transport is Transport.IMPORT else None
    new = new_upload(transport=transport, source=source)
    return (await board.create(new_upload(**vars_of(new))))[0]


def vars_of(new: object) -> dict[str, object]:
    """The fields of an upload to be registered, with its id as the Idempotency-Key."""
    fields = {name: getattr(new, name) for name in new.__dataclass_fields__}  # type: ignore[attr-defined]  # a dataclass
    return fields | {"idempotency_key": fields["upload_id"]}


@pytest.mark.parametrize("event", [Event.CANCEL, Event.EXPIRE, Event.FAIL])
@pytest.mark.parametrize("before", [(), (Event.ADMIT,)])
async def test_an_upload_without_a_byte_is_kept_for_minutes(
    board: RedisUploadBoard, parts: RedisParts, before: tuple[Event, ...], event: Event
) -> None:
    upload = await keyed(board)
    for step in (*before, event):
        await board.apply(upload.upload_id, step)
    await board.mark_cleaned(upload.upload_id)
    assert await kept_ms(parts, upload) == (SHORT_MS, SHORT_MS)


async def test_an_upload_that_has_received_bytes_is_kept_for_the_retention_time(
    board: RedisUploadBoard, parts: RedisParts, play: Play
) -> None:
    upload, lost = await keyed(board), await keyed(board)
    for one in (upload, lost):
        await board.apply(one.upload_id, Event.ADMIT)
        await play.receive(one, 1)
    await play.segments.invalidate(lost.upload_id, 1, 0x1001)
    assert (await board.get(lost.upload_id)).bytes_received == 0
    for one in (upload, lost):
        await board.apply(one.upload_id, Event.CANCEL)
        await board.mark_cleaned(one.upload_id)
        assert await kept_ms(parts, one) == (LONG_MS, LONG_MS)


async def test_imports_and_contents_are_kept_for_the_retention_time(
    board: RedisUploadBoard, parts: RedisParts, play: Play
) -> None:
    failed = await keyed(board, Transport.IMPORT)
    await board.apply(failed.upload_id, Event.FAIL)
    ready = await keyed(board)
    for event in (Event.ADMIT, Event.ALL_RECEIVED, Event.PERSISTED):
        await board.apply(ready.upload_id, event)
    for upload in (failed, ready):
        await board.mark_cleaned(upload.upload_id)
        assert await kept_ms(parts, upload) == (LONG_MS, LONG_MS)


async def test_an_owner_cannot_keep_any_number_of_records(
    parts: RedisParts, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One byte of each upload is enough to keep its record for the retention time, but not of more than so many."""
    monkeypatch.setattr("pipeline.adapters.redis.upload_board._OWNER_RECORDS", 3)
    own = OwnerLimits(100, 100, 2**50, None, CreationRate(1000, 1000))
    for limits, kept in ((CreationLimits(100, own), SHORT_MS), (CreationLimits(100), LONG_MS)):
        scripts = Scripts(parts.client, parts.keys.prefix)
        play.board = board = RedisUploadBoard(
            parts.client, scripts, parts.keys, LONG_MS, empty_ms=SHORT_MS, limits=limits
        )
        name = f"ann-{kept}"
        uploads = [(await board.create(new_upload(**vars_of(new_upload(owner=name)))))[0] for _ in range(5)]
        other, _ = await board.create(new_upload(**vars_of(new_upload(owner=f"bob-{kept}"))))
        for upload in (*uploads, other):
            await board.apply(upload.upload_id, Event.ADMIT)
            await play.receive(upload, 1)
        *failed, ready = uploads
        for upload in (*failed, other):
            await board.apply(upload.upload_id, Event.FAIL)
        for event in (Event.ALL_RECEIVED, Event.PERSISTED):
            await board.apply(ready.upload_id, event)
        for upload in (*uploads, other):
            await board.mark_cleaned(upload.upload_id)
        assert {await kept_ms(parts, upload) for upload in failed} == {(kept, kept)}
        assert await kept_ms(parts, ready) == (LONG_MS, LONG_MS), "its client must find its content"
        assert await kept_ms(parts, other) == (LONG_MS, LONG_MS)


async def test_direct_uploads_are_kept_longer_once_their_client_has_sent_everything(
    board: RedisUploadBoard, parts: RedisParts
) -> None:
    sent, unsent = await keyed(board, Transport.DIRECT), await keyed(board, Transport.DIRECT)
    await board.complete(sent.upload_id, [StoredSegment(number, 10, "e") for number in (1, 2, 3)])
    for upload, kept in ((sent, LONG_MS), (unsent, SHORT_MS)):
        await board.apply(upload.upload_id, Event.CANCEL)
        await board.mark_cleaned(upload.upload_id)
        assert await kept_ms(parts, upload) == (kept, kept)


async def test_a_key_that_names_another_upload_meanwhile_is_kept(board: RedisUploadBoard, parts: RedisParts) -> None:
    first, _ = await board.create(new_upload(idempotency_key="k", again=True))
    await board.apply(first.upload_id, Event.FAIL)
    await board.create(new_upload(idempotency_key="k", again=True))
    await board.mark_cleaned(first.upload_id)
    assert await parts.client.pttl(f"{parts.keys.prefix}idempotency:k") > SHORT_MS


async def test_the_key_is_free_when_the_record_is_gone(parts: RedisParts, play: Play) -> None:
    scripts = Scripts(parts.client, parts.keys.prefix)
    board = RedisUploadBoard(parts.client, scripts, parts.keys, LONG_MS, empty_ms=50)
    upload = await keyed(board)
    await board.apply(upload.upload_id, Event.CANCEL)
    await board.mark_cleaned(upload.upload_id)

    async def is_gone() -> bool:
        try:
            await board.get(upload.upload_id)
        except RequestError:
            return True
        return False

    await until(is_gone)

    async def purged() -> bool:
        return await board.purge_expired(10) == 1

    await until(purged)
    assert not [key for key in await play.keys() if upload.upload_id in key]
