"""Receiving segments of windows on the real boards, the real ledger and a real temp volume: no byte without room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import google_crc32c
import pytest

from pipeline.core.errors import RequestError, UploadEnded
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import ClientDigest
from pipeline.core.stages import Stage
from tests.contract.redis.doors import SEGMENT, Door, broken, opened, part
from tests.contract.redis.uploads import Play, until
from tests.contract.redis.windows import READERS, reads, set_states

pytestmark = pytest.mark.integration


@pytest.fixture
async def door(play: Play, tmp_path: Path) -> Door:
    return await opened(play, tmp_path)


async def test_a_full_window_refuses_segments_before_their_bodies(door: Door) -> None:
    for number in (2, 3):
        await door.send(number)
    door.read.clear()
    before = await door.cell.ledger.standing(door.upload.upload_id)
    assert await door.refused(4) == "SEGMENT_WINDOW_FULL", "three segments of a window are for the reader"
    assert door.read == []
    assert door.on_disk() == 2 * SEGMENT
    after = await door.cell.ledger.standing(door.upload.upload_id)
    assert before is not None
    assert after is not None
    assert (after.lease_until_ms or 0) > (before.lease_until_ms or 0), "its client is there"
    assert not (await door.send(1)).repeated, "the reader needs it"
    await reads(door.play, door.upload, 8)
    assert not (await door.send(8)).repeated
    assert await door.taken() == {1, 2, 3, 8}


@pytest.mark.parametrize("arrived", [True, False])
async def test_only_a_client_that_waits_for_sluice_keeps_its_reservation(door: Door, arrived: bool) -> None:
    """A full window whose segments have arrived waits for the store. One that is full of bodies which never end, four
    times a quarter of the volume, would keep everybody else out for ever."""
    upload_id, ledger = door.upload.upload_id, door.cell.ledger
    for number in (2, 3):
        if arrived:
            await door.send(number)
        else:
            assert (await door.play.segments.claim(upload_id, number, "slow", 60)).claimed
            assert await ledger.take(upload_id, number, SEGMENT, segment_bytes=SEGMENT, reader_segments=3)
    before = await ledger.standing(upload_id)
    assert await door.refused(4) == "SEGMENT_WINDOW_FULL"
    assert (before != await ledger.standing(upload_id)) is arrived


@pytest.mark.parametrize("wrong", ["cut off", "length", "digest", "too long"])
async def test_a_failed_body_gives_its_room_back(door: Door, wrong: str) -> None:
    bodies = {
        "cut off": broken(part(2)),
        "length": door.whole(part(2)[:100]),
        "digest": door.whole(part(2)),
        "too long": door.whole(part(2) + b"x"),
    }
    digests = [ClientDigest("crc32c", bytes(4))] if wrong == "digest" else []
    assert (await door.refused(2, bodies[wrong], *digests)).startswith("SEGMENT_")
    assert await door.taken() == set()
    assert door.on_disk() == 0
    assert not (await door.send(2)).repeated


async def test_a_cancelled_request_gives_its_room_back(door: Door) -> None:
    """Its gateway stops."""
    reached = asyncio.Event()

    async def stalled() -> AsyncIterator[bytes]:
        yield part(2)[:1000]
        reached.set()
        await asyncio.Event().wait()

    sending = asyncio.create_task(door.send(2, stalled()))
    await reached.wait()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    assert await door.taken() == set()
    assert door.on_disk() == 0


async def test_two_gateways_receive_one_segment_and_one_fails(door: Door) -> None:
    """A client has lost its first connection and sends again through another gateway."""
    arrived = asyncio.Event()

    async def hangs() -> AsyncIterator[bytes]:
        yield part(2)[:1000]
        arrived.set()
        await later.wait()
        raise ConnectionError

    later = asyncio.Event()
    first = asyncio.create_task(door.send(2, hangs()))
    await arrived.wait()
    assert not (await door.send(2, gateway=1)).repeated
    later.set()
    with pytest.raises(RequestError) as cut_off:
        await first
    assert cut_off.value.code == "SEGMENT_CUT_OFF"
    assert await door.taken() == {2}
    assert await door.cell.volume.read(door.upload.upload_id, SEGMENT, SEGMENT) == part(2)


async def test_a_late_writer_of_a_released_segment_leaves_nothing(door: Door) -> None:
    arrived, later = asyncio.Event(), asyncio.Event()

    async def late() -> AsyncIterator[bytes]:
        yield part(2)[:1000]
        arrived.set()
        await later.wait()
        yield part(2)[1000:]

    first = asyncio.create_task(door.send(2, late()))
    await arrived.wait()
    await door.send(2, gateway=1)
    assert await door.store(2) == [False], "another request is writing it"
    later.set()
    assert (await first).repeated
    await door.release.run(door.upload.upload_id)
    assert await door.taken() == set()
    assert door.on_disk() == 0
    receipt = await door.send(2, gateway=1)
    assert (receipt.repeated, receipt.crc32c) == (True, google_crc32c.value(part(2)))
    with pytest.raises(RequestError) as differs:
        await door.send(2, door.whole(part(2, 1)))
    assert differs.value.code == "SEGMENT_DIFFERS"
    assert door.on_disk() == 0


@pytest.mark.parametrize("event", [Event.CANCEL, Event.EXPIRE])
async def test_an_upload_that_ends_takes_no_room(door: Door, event: Event) -> None:
    slot = await door.gateways[0].open(door.upload.upload_id, 2, SEGMENT)
    await door.play.board.apply(door.upload.upload_id, event)
    with pytest.raises(UploadEnded):
        await door.gateways[0].receive(slot, door.whole(part(2)), ())
    assert door.read == []
    assert await door.taken() == set()


async def test_a_temp_file_that_is_gone_is_begun_again(door: Door) -> None:
    await door.cell.volume.remove(door.upload.upload_id)
    await door.send(2)
    assert door.on_disk() == SEGMENT
    assert await door.cell.volume.read(door.upload.upload_id, SEGMENT, SEGMENT) == part(2)


async def test_the_room_of_a_dead_gateway_is_given_back(door: Door, tmp_path: Path) -> None:
    upload_id = door.upload.upload_id
    assert (await door.play.segments.claim(upload_id, 2, "dead", 0.05)).claimed
    assert await door.cell.ledger.take(upload_id, 2, SEGMENT, segment_bytes=SEGMENT, reader_segments=3)
    await door.cell.volume.allocate_range(upload_id, SEGMENT, SEGMENT)
    await door.cell.ledger.back(upload_id, 2)

    async def given_back() -> bool:
        await door.release.run(upload_id)
        return await door.taken() == set()

    await until(given_back)
    assert door.on_disk() == 0


async def test_bytes_that_nothing_accounts_for_are_removed(door: Door) -> None:
    await door.send(2)
    await door.cell.volume.write(door.upload.upload_id, 5 * SEGMENT, [part(6)], 0)
    assert door.on_disk() == 2 * SEGMENT
    await door.release.reconcile(door.upload.upload_id)
    assert door.on_disk() == SEGMENT
    assert await door.cell.volume.read(door.upload.upload_id, SEGMENT, SEGMENT) == part(2)


# -- whole uploads


async def test_a_whole_upload_is_released_and_takes_room_again(play: Play, tmp_path: Path) -> None:
    door = await opened(play, tmp_path, window=None, count=3)
    for number in (1, 2, 3):
        await door.send(number)
    await set_states(play, door.upload, "done", [*READERS, Stage.ASSEMBLE])
    assert await door.store(1, 2, 3) == [False] * 3
    await door.release.run(door.upload.upload_id)
    assert door.on_disk() == 0
    assert (await door.cell.ledger.holders())[door.upload.upload_id] == 0
    journal = await door.cell.journals.read(door.upload.upload_id)
    assert journal is not None
    assert journal.released == {1, 2, 3}
    jobs = play.by_stage((await play.stages.finish(await door.transfer(), None)).jobs)
    seal = await play.started(jobs[Stage.SEAL])
    await door.cell.record.segments_gone(seal, [2])
    assert (await play.board.get(door.upload.upload_id)).status is Status.RECEIVING
    assert await door.refused(2, door.whole(part(2, 1))) == "SEGMENT_DIFFERS"
    assert door.on_disk() == 0
    assert await door.refused(2, broken(part(2))) == "SEGMENT_CUT_OFF"
    assert (await door.cell.ledger.holders())[door.upload.upload_id] == 0
    await door.send(2)
    assert (await door.cell.ledger.holders())[door.upload.upload_id] == SEGMENT == door.on_disk()
    assert (await play.board.get(door.upload.upload_id)).status is Status.PROCESSING


async def test_a_failed_body_of_a_whole_upload_keeps_its_room(play: Play, tmp_path: Path) -> None:
    door = await opened(play, tmp_path, window=None, count=3)
    assert await door.refused(2, broken(part(2))) == "SEGMENT_CUT_OFF"
    assert door.on_disk() == 3 * SEGMENT
    assert (await door.cell.ledger.holders())[door.upload.upload_id] == 3 * SEGMENT
