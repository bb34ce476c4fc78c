"""`UploadReader.snapshot` and `page`: an upload with its standing and its received segments, in one round trip."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from redis.asyncio import Connection, Redis

from pipeline.adapters.redis import upload_board
from pipeline.adapters.redis.ledger import LedgerRules, RedisReservationLedger
from pipeline.adapters.redis.pool import SideBySidePool
from pipeline.adapters.redis.scripts import Scripts
from pipeline.adapters.redis.upload_board import RedisUploadBoard
from pipeline.bootstrap import RedisParts
from pipeline.core.admission import DiskReading
from pipeline.core.errors import RequestError
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import Upload
from pipeline.core.transports import Transport
from tests.contract.redis.uploads import VOLUME, Play, crc_of, until
from tests.harness.new_uploads import new_upload
from tests.harness.redis_calls import reply

pytestmark = pytest.mark.contract

_GIBIBYTE = 2**30


class CountingConnection(Connection):
    """Counts what is sent: one packet per command, pipeline or transaction, and so per round trip."""

    sent = 0

    async def send_packed_command(self, *arguments: Any, **options: Any) -> None:
        CountingConnection.sent += 1
        await super().send_packed_command(*arguments, **options)


@pytest.fixture
async def counted_board(parts: RedisParts, redis_url: str) -> AsyncIterator[RedisUploadBoard]:
    """A board whose connection counts round trips."""
    pool = SideBySidePool.from_url(
        redis_url, max_connections=64, decode_responses=True, connection_class=CountingConnection
    )
    client: Redis = Redis(connection_pool=pool)
    yield RedisUploadBoard(client, Scripts(client, parts.keys.prefix), parts.keys, retention_ms=60_000)
    await client.aclose(close_connection_pool=True)


def ledger_of(parts: RedisParts, lease_seconds: float = 60.0) -> RedisReservationLedger:
    rules = LedgerRules(_GIBIBYTE, lease_seconds, 4, 10)
    return RedisReservationLedger(parts.client, Scripts(parts.client, parts.keys.prefix), parts.keys, VOLUME, rules)


async def request(ledger: RedisReservationLedger, upload: Upload, free_bytes: int = _GIBIBYTE) -> None:
    await ledger.open("run")
    disk = DiskReading(free_bytes, 0, await ledger.epoch() or 0)
    assert await ledger.request(upload.upload_id, upload.size_bytes, disk) is not None


async def test_a_waiting_upload_has_a_place_in_the_queue(play: Play) -> None:
    ledger = ledger_of(play.parts)
    for place in (1, 2):
        upload, _ = await play.board.create(new_upload())
        await request(ledger, upload, free_bytes=0)
        snapshot = await play.board.snapshot(upload.upload_id)
        assert snapshot.upload == upload
        assert snapshot.standing == await ledger.standing(upload.upload_id)
        assert snapshot.standing is not None
        assert (snapshot.standing.queue_position, snapshot.standing.lease_until_ms) == (place, None)
        assert not snapshot.received


async def test_an_admitted_upload_has_a_lease_also_when_it_has_lapsed(play: Play) -> None:
    upload, ledger = await play.admitted(), ledger_of(play.parts, lease_seconds=0.02)
    assert (await play.board.snapshot(upload.upload_id)).standing is None, "it has not asked for room"
    await request(ledger, upload)
    assert await ledger.confirm(upload.upload_id, upload.size_bytes)
    held = (await play.board.snapshot(upload.upload_id)).standing
    assert held == await ledger.standing(upload.upload_id)
    assert held is not None
    assert held.queue_position == 0
    assert held.lease_until_ms is not None

    async def lapsed() -> bool:
        outcome = await ledger.run(DiskReading(_GIBIBYTE, 0, await ledger.epoch() or 0))
        return outcome is not None and outcome.lapsed == (upload.upload_id,)

    await until(lapsed)
    assert (await play.board.snapshot(upload.upload_id)).standing == held


async def test_received_segments_are_listed_while_more_can_arrive(play: Play) -> None:
    upload = await play.admitted(3)
    for number in (1, 3):
        await play.receive(upload, number)
    snapshot = await play.board.snapshot(upload.upload_id)
    assert snapshot.upload == await play.board.get(upload.upload_id)
    assert set(snapshot.received) == {1, 3}
    await play.receive(upload, 2)
    snapshot = await play.board.snapshot(upload.upload_id)
    assert (snapshot.upload.status, set(snapshot.received)) == (Status.PROCESSING, set())


async def test_an_upload_of_ten_thousand_segments_fits_into_a_reply(play: Play) -> None:
    """Lua cannot unpack more than about 8,000 values at once."""
    count = 10_000
    upload, _ = await play.board.create(new_upload(size_bytes=count, segment_bytes=1))
    await play.board.apply(upload.upload_id, Event.ADMIT)
    received = {str(number): f"{crc_of(number):08x}" for number in range(1, count)}
    keys, client = play.parts.keys, play.parts.client
    await reply(client.hset(keys.received(upload.upload_id), mapping=received))
    await reply(client.hset(keys.upload(upload.upload_id), "segments_received", str(len(received))))
    assert set((await play.board.snapshot(upload.upload_id)).received) == set(range(1, count))
    [listed] = await play.board.page(None, None, 10)
    assert len(listed.received) == count - 1


async def test_an_unknown_upload_has_no_snapshot(play: Play) -> None:
    with pytest.raises(RequestError) as refused:
        await play.board.snapshot(new_upload().upload_id)
    assert refused.value.code == "UPLOAD_NOT_FOUND"


async def test_a_snapshot_is_one_round_trip(play: Play, counted_board: RedisUploadBoard) -> None:
    upload = await play.admitted(3)
    await play.receive(upload, 2)
    await counted_board.snapshot(upload.upload_id)  # connects, and loads the script
    before = CountingConnection.sent
    assert set((await counted_board.snapshot(upload.upload_id)).received) == {2}
    assert CountingConnection.sent == before + 1


@pytest.mark.parametrize("status", [None, Status.RECEIVING])
async def test_a_page_is_one_round_trip(play: Play, counted_board: RedisUploadBoard, status: Status | None) -> None:
    ledger, uploads = ledger_of(play.parts), [await play.admitted(3) for _ in range(8)]
    for upload in uploads:
        await request(ledger, upload)
        await play.receive(upload, 1)
    await play.parts.client.delete(play.parts.keys.upload(uploads[5].upload_id))
    await counted_board.page(status, None, 1)
    before = CountingConnection.sent
    page = await counted_board.page(status, None, 6)
    assert CountingConnection.sent == before + 1
    expected = [upload.upload_id for upload in reversed(uploads) if upload is not uploads[5]]
    assert [item.upload.upload_id for item in page] == expected[:6]
    assert all(set(item.received) == {1} and item.standing is not None for item in page)


async def test_a_page_is_filled_past_any_number_of_expired_records(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """One call of the script examines only so many index entries; the next call continues behind them."""
    monkeypatch.setattr(upload_board, "_EXAMINED", 3)
    uploads = [(await play.board.create(new_upload()))[0].upload_id for _ in range(20)]
    index = play.parts.keys.uploads
    await play.parts.client.zadd(index, dict.fromkeys(uploads, 1_000))  # one moment, so that ids alone are the order
    newest_first = sorted(uploads, reverse=True)
    kept = [newest_first[place] for place in (0, 12, 19)]
    await play.parts.client.delete(*(play.parts.keys.upload(item) for item in uploads if item not in kept))
    assert ids(await play.board.page(None, None, 2)) == kept[:2]
    assert ids(await play.board.page(None, None, 5)) == kept
    assert ids(await play.board.page(None, (1_000, kept[1]), 5)) == kept[2:]


@pytest.mark.parametrize("transport", Transport)
async def test_every_transport_is_listed(play: Play, transport: Transport) -> None:
    upload, _ = await play.board.create(new_upload(transport=transport))
    [listed] = await play.board.page(upload.status, None, 10)
    assert (listed.upload, listed.standing, set(listed.received)) == (upload, None, set())


def ids(page: Sequence[Any]) -> list[str]:
    return [item.upload.upload_id for item in page]


async def test_an_upload_is_created_in_one_round_trip(play: Play, counted_board: RedisUploadBoard) -> None:
    """A Redis that loses its data after the creation cannot make the creation fail with UPLOAD_NOT_FOUND."""
    await counted_board.create(new_upload())  # connects, and loads the script
    new, sent = new_upload(idempotency_key="key", fingerprint="same"), CountingConnection.sent
    upload, created = await counted_board.create(new)
    again, created_again = await counted_board.create(new)
    assert CountingConnection.sent - sent == 2
    assert upload == again == await play.board.get(new.upload_id)
    assert (created, created_again) == (True, False)
