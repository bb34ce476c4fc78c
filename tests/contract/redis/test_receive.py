"""Receiving segments on the real boards and a real temp volume: a recorded segment is complete and does not change."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import google_crc32c
import pytest
from redis.asyncio.connection import AbstractConnection

from pipeline.adapters.volume.temp_volume import DirectoryTempVolume
from pipeline.core.errors import RequestError, SluiceError, UploadEnded
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import ClientDigest, Upload
from pipeline.core.stages import WorkerType
from pipeline.uploads.incoming_bytes import ReceiveRules
from pipeline.uploads.receive import Receiver, SegmentReceipt
from pipeline.uploads.receive_buffer import ReceiveBuffer
from pipeline.uploads.release import EarlyRelease
from pipeline.uploads.room import SegmentRoom
from tests.contract.redis.uploads import Play, cell_state
from tests.contract.redis.windows import reads
from tests.harness.new_uploads import new_upload

pytestmark = pytest.mark.integration

DATA = bytes(range(100, 125))  # segments of 10, 10 and 5 bytes


class Door:
    """A receiver and one admitted upload with its temp file."""

    def __init__(self, play: Play, volume: DirectoryTempVolume, upload: Upload) -> None:
        self.play = play
        self.volume = volume
        self.upload = upload
        self.buffer = ReceiveBuffer(1024 * 1024)
        cell = cell_state(play, volume)
        self.ledger = cell.ledger
        room = SegmentRoom(cell, play.parts.signals, EarlyRelease(cell), 10)
        self.receiver = Receiver(cell, self.buffer, ReceiveRules(5, 10), room)

    async def send(self, number: int, data: bytes | None = None, *digests: ClientDigest) -> SegmentReceipt:
        plan = self.upload.plan
        body = DATA[plan.offset(number) :][: plan.length(number)] if data is None else data
        slot = await self.receiver.open(self.upload.upload_id, number, None)
        return await self.receiver.receive(slot, drip(body), digests)

    def file(self) -> bytes:
        return self.volume.path(self.upload.upload_id).read_bytes()


async def drip(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 3):
        await asyncio.sleep(0)
        yield data[start : start + 3]


@pytest.fixture
async def door(play: Play, tmp_path: Path) -> Door:
    volume = DirectoryTempVolume("local", tmp_path)
    upload = await play.admitted(3)
    await volume.allocate(upload.upload_id, upload.size_bytes)
    return Door(play, volume, upload)


def code_of(raised: pytest.ExceptionInfo[SluiceError]) -> str:
    return raised.value.code


async def test_segments_in_any_order_make_the_file_and_start_the_stages(door: Door) -> None:
    receipts = [await door.send(number) for number in (3, 1, 2)]
    assert [receipt.status for receipt in receipts] == [Status.RECEIVING, Status.RECEIVING, Status.PROCESSING]
    assert receipts[1] == SegmentReceipt(1, 10, google_crc32c.value(DATA[:10]), repeated=False, status=Status.RECEIVING)
    assert door.file() == DATA
    client, keys = door.play.parts.client, door.play.parts.keys
    for worker in (WorkerType.TRANSFER, WorkerType.PROBE, WorkerType.ASSEMBLE):
        assert await client.zcard(keys.queue(worker, "local")) == 1


async def test_a_whole_upload_asks_redis_twice_per_segment(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for the segment costs it nothing: it has it from its admission on. Its lease is renewed with the segment."""
    await door.send(1)
    sent: list[Any] = []
    send: Any = AbstractConnection.send_packed_command

    async def counting(connection: AbstractConnection, command: Any, **options: Any) -> None:
        sent.append(command)
        await send(connection, command, **options)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", counting)
    await door.send(2)
    assert len(sent) == 2


async def test_a_segment_that_arrived_since_its_slot_was_given_is_not_overwritten(door: Door) -> None:
    slot = await door.receiver.open(door.upload.upload_id, 1, None)
    await door.send(1)
    with pytest.raises(RequestError) as refused:
        await door.receiver.receive(slot, drip(b"0123456789"), ())
    assert code_of(refused) == "SEGMENT_DIFFERS"
    assert door.file()[:10] == DATA[:10]


async def test_many_senders_of_every_segment_at_once(door: Door) -> None:
    numbers = [1, 2, 3] * 6
    random.Random(1).shuffle(numbers)
    receipts = await asyncio.gather(*(door.send(number) for number in numbers))
    assert sum(not receipt.repeated for receipt in receipts) == 3
    assert door.file() == DATA
    assert (await door.play.board.get(door.upload.upload_id)).bytes_received == 25
    assert door.receiver._locks == {}
    assert door.buffer.used_bytes == 0


async def test_a_repeated_segment_names_what_the_reader_wants_too(door: Door) -> None:
    """Its client may have missed the first response."""
    await door.send(1)
    await reads(door.play, door.upload, 3)
    assert list((await door.send(2)).wanted) == [3]
    receipt = await door.send(2)
    assert (receipt.repeated, list(receipt.wanted)) == (True, [3])


async def test_an_accepted_segment_does_not_change(door: Door) -> None:
    await door.send(1)
    assert (await door.send(1)).repeated
    with pytest.raises(RequestError) as refused:
        await door.send(1, b"0123456789")
    assert code_of(refused) == "SEGMENT_DIFFERS"
    assert door.file()[:10] == DATA[:10]


async def test_of_two_senders_with_different_bytes_one_is_refused(door: Door) -> None:
    bodies = [b"a" * 10, b"b" * 10]
    answers = await asyncio.gather(*(door.send(1, body) for body in bodies), return_exceptions=True)
    winner = next(index for index, answer in enumerate(answers) if isinstance(answer, SegmentReceipt))
    assert door.file()[:10] == bodies[winner]
    loser = answers[1 - winner]
    assert isinstance(loser, RequestError)
    assert loser.code == "SEGMENT_DIFFERS"


@pytest.mark.parametrize("wrong", ["length", "digest"])
async def test_a_refused_segment_stays_missing_and_can_be_sent_again(door: Door, wrong: str) -> None:
    sent = door.send(2, b"short") if wrong == "length" else door.send(2, None, ClientDigest("crc32c", bytes(4)))
    with pytest.raises(RequestError) as refused:
        await sent
    assert code_of(refused) == f"SEGMENT_{wrong.upper()}_WRONG"
    assert await door.play.segments.received(door.upload.upload_id) == {}
    assert not (await door.send(2)).repeated
    assert door.file()[10:20] == DATA[10:20]


async def test_a_missing_temp_file_is_recreated(door: Door) -> None:
    await door.volume.remove(door.upload.upload_id)
    await door.send(2)
    assert door.file() == bytes(10) + DATA[10:20] + bytes(5)


async def test_an_upload_that_ends_during_a_segment_does_not_accept_it(door: Door) -> None:
    board, upload_id = door.play.board, door.upload.upload_id

    async def cancelled_meanwhile() -> AsyncIterator[bytes]:
        yield DATA[:5]
        await board.apply(upload_id, Event.CANCEL)
        await door.volume.remove(upload_id)
        yield DATA[5:10]

    slot = await door.receiver.open(upload_id, 1, 10)
    with pytest.raises(UploadEnded) as ended:
        await door.receiver.receive(slot, cancelled_meanwhile(), ())
    assert ended.value.detail["status"] == "cancelled"
    assert await door.volume.list() == {}, "no file is created for an unknown upload"


async def test_a_segment_is_refused_before_its_body_is_read(door: Door) -> None:
    waiting, _ = await door.play.board.create(new_upload())
    refusals = {
        "UPLOAD_WAITING": (waiting.upload_id, 1, None),
        "SEGMENT_OUT_OF_RANGE": (door.upload.upload_id, 4, None),
        "SEGMENT_LENGTH_WRONG": (door.upload.upload_id, 3, 10),
        "UPLOAD_NOT_FOUND": ("nobody", 1, None),
    }
    for code, arguments in refusals.items():
        with pytest.raises(RequestError) as refused:
            await door.receiver.open(*arguments)
        assert code_of(refused) == code
    await door.play.board.apply(door.upload.upload_id, Event.CANCEL)
    with pytest.raises(UploadEnded):
        await door.receiver.open(door.upload.upload_id, 1, 10)
