"""Appending on the real boards and a real temp volume: the offset is exact, whatever interrupts a request."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import pytest

from pipeline.core.admission import DiskReading
from pipeline.core.digests import BodyDigest
from pipeline.core.errors import SluiceError
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import ClientDigest
from pipeline.uploads.append import Appender, Position
from pipeline.uploads.incoming_bytes import ReceiveRules
from pipeline.uploads.receive_buffer import ReceiveBuffer
from pipeline.uploads.room import SegmentRoom
from tests.contract.redis.doors import COUNT, SEGMENT, Door, broken, opened, part
from tests.contract.redis.uploads import Play, cell_state, until
from tests.harness.new_uploads import new_upload

pytestmark = pytest.mark.integration

DATA = b"".join(part(number) for number in range(1, COUNT + 1))


@dataclass
class Mouth:
    """Two gateways that append to the upload of a door."""

    door: Door
    gateways: list[Appender]

    @property
    def upload_id(self) -> str:
        return self.door.upload.upload_id

    async def append(
        self,
        offset: int,
        body: bytes | AsyncIterator[bytes],
        digest: ClientDigest | None = None,
        *,
        gateway: int = 0,
        known: bool = True,
    ) -> Position:
        size = len(body) if isinstance(body, bytes) and known else None
        blocks = whole(body) if isinstance(body, bytes) else body
        return await self.gateways[gateway].append(
            self.upload_id, offset, blocks, size, BodyDigest.known(digest) if digest else None
        )

    async def refused(self, offset: int, body: bytes | AsyncIterator[bytes], digest: ClientDigest | None = None) -> str:
        with pytest.raises(SluiceError) as raised:
            await self.append(offset, body, digest)
        return raised.value.code

    async def append_or_code(self, offset: int, body: bytes) -> str | None:
        """None: all of the body was appended."""
        try:
            await self.append(offset, body)
        except SluiceError as error:
            return error.code
        return None

    async def offset(self, gateway: int = 1) -> int:
        return (await self.gateways[gateway].position(self.upload_id)).offset

    def file(self) -> bytes:
        return self.door.cell.volume.path(self.upload_id).read_bytes()


async def whole(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 50_000):
        yield data[start : start + 50_000]


def mouth_of(door: Door, hold_seconds: float = 0.1) -> Mouth:
    parts = door.play.parts
    gateways = [
        Appender(
            door.cell,
            SegmentRoom(door.cell, parts.signals, door.release, 10),
            ReceiveBuffer(2**20),
            ReceiveRules(10, 20),
            parts.appends,
            parts.signals,
            hold_seconds,
        )
        for _ in "ab"
    ]
    return Mouth(door, gateways)


@pytest.fixture
async def held(play: Play, tmp_path: Path) -> Mouth:
    """An upload that is held whole."""
    return mouth_of(await opened(play, tmp_path, window=None))


@pytest.fixture
async def windowed(play: Play, tmp_path: Path) -> Mouth:
    return mouth_of(await opened(play, tmp_path))


@pytest.mark.parametrize("chunk", [7_777, SEGMENT, 3 * SEGMENT + 1, len(DATA)])
async def test_chunks_of_any_size_make_the_file(held: Mouth, chunk: int) -> None:
    for start in range(0, len(DATA), chunk):
        gateway = start // chunk % 2
        reached = await held.append(start, DATA[start : start + chunk], gateway=gateway)
        assert reached.offset == min(start + chunk, len(DATA)) == await held.offset()
    assert reached.complete
    assert held.file() == DATA
    upload = await held.door.play.board.get(held.upload_id)
    assert upload.status is Status.PROCESSING
    assert await held.door.cell.segments.received(held.upload_id) == {
        number: google_crc32c.value(part(number)) for number in range(1, COUNT + 1)
    }


async def test_single_bytes_move_the_offset(held: Mouth) -> None:
    for offset in range(5):
        assert (await held.append(offset, DATA[offset : offset + 1], gateway=offset % 2)).offset == offset + 1
    assert (await held.append(5, DATA[5:])).complete
    assert held.file() == DATA


async def test_the_bytes_before_a_cut_count(held: Mouth) -> None:
    cut = SEGMENT * 2 + 100
    assert await held.refused(0, broken(DATA[: 2 * cut])) == "APPEND_CUT_OFF"
    assert await held.offset() == cut
    assert (await held.append(cut, DATA[cut:], gateway=1, known=False)).complete
    assert held.file() == DATA


async def test_the_newer_request_wins_and_what_the_older_one_sent_counts(held: Mouth) -> None:
    sent = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield DATA[: SEGMENT + 10]
        sent.set()
        await asyncio.Event().wait()

    older = asyncio.create_task(held.append(0, endless()))
    await sent.wait()
    assert await held.offset(gateway=1) == SEGMENT + 10
    with pytest.raises(SluiceError) as raised:
        await older
    assert raised.value.code == "APPEND_SUPERSEDED"
    assert (await held.append(SEGMENT + 10, DATA[SEGMENT + 10 :], gateway=1)).complete
    assert held.file() == DATA


async def test_of_two_that_wait_for_a_turn_the_newest_gets_it(held: Mouth) -> None:
    record = held.door.cell.record
    await record.begin_append(held.upload_id, "a gateway that died", first=True, force=False)
    first = asyncio.create_task(held.append(0, DATA))
    await until_appender_changes(held, "a gateway that died")
    assert (await held.append(0, DATA, gateway=1)).complete
    with pytest.raises(SluiceError) as raised:
        await first
    assert raised.value.code == "APPEND_SUPERSEDED"
    assert held.file() == DATA


async def until_appender_changes(mouth: Mouth, token: str) -> None:
    appends = mouth.door.play.parts.appends

    async def changed() -> bool:
        return await appends.appender(mouth.upload_id) != token

    await until(changed)


async def test_a_request_that_lost_its_turn_records_nothing(held: Mouth) -> None:
    record = held.door.cell.record
    await record.begin_append(held.upload_id, "hung", first=True, force=False)
    assert (await held.append(0, DATA[:SEGMENT])).offset == SEGMENT
    verdict = await record.segment_received(held.upload_id, 2, SEGMENT, 1, None, "hung")
    assert (verdict.accepted, verdict.refused) == (False, "superseded")
    assert not await record.end_append(held.upload_id, "hung")
    assert await held.offset() == SEGMENT


@pytest.mark.parametrize("algorithm", ["sha-1", "md5", "sha-256"])
async def test_bytes_whose_digest_differs_are_discarded(held: Mouth, algorithm: str) -> None:
    await held.append(0, DATA[:100])
    chunk = DATA[100 : 2 * SEGMENT + 50]
    right = hashlib.new(algorithm.replace("-", ""), chunk, usedforsecurity=False).digest()
    assert await held.refused(100, b"x" * len(chunk), ClientDigest(algorithm, right)) == "APPEND_DIGEST_WRONG"
    assert await held.refused(100, broken(chunk * 2), ClientDigest(algorithm, right)) == "APPEND_CUT_OFF"
    assert await held.offset() == 100
    reached = await held.append(100, chunk, ClientDigest(algorithm, right))
    assert (await held.append(reached.offset, DATA[reached.offset :])).complete
    assert held.file() == DATA


async def test_what_cannot_be_appended_is_refused_before_a_byte_is_read(held: Mouth) -> None:
    async def unread() -> AsyncIterator[bytes]:
        pytest.fail("the body was read")
        yield b""

    assert await held.refused(5, unread()) == "APPEND_OFFSET_WRONG"
    with pytest.raises(SluiceError) as raised:
        await held.gateways[0].append(held.upload_id, 0, unread(), len(DATA) + 1)
    assert raised.value.code == "APPEND_TOO_LONG"
    await held.door.cell.record.cancel(held.upload_id)
    assert await held.refused(0, unread()) == "UPLOAD_ENDED"


async def test_a_body_of_unknown_length_that_is_too_long_is_refused_at_its_end(held: Mouth) -> None:
    assert await held.refused(0, whole(DATA + b"x")) == "APPEND_TOO_LONG"
    assert held.file() == DATA


async def test_a_windowed_upload_waits_for_its_window(windowed: Mouth) -> None:
    segments, offset = windowed.door.cell.segments, 0
    while (refusal := await windowed.append_or_code(offset, DATA[offset:])) is not None:
        assert refusal == "APPEND_NO_ROOM"
        before, offset = offset, await windowed.offset()
        assert offset > before
        arrived = set(await segments.received(windowed.upload_id))
        numbers = sorted(arrived.difference(await segments.released(windowed.upload_id)))
        for number, leaves in zip(numbers, await windowed.door.store(*numbers), strict=True):
            if leaves:
                await windowed.door.release.segment_stored(windowed.upload_id, windowed.door.upload.plan, number)
    received = await windowed.door.cell.segments.received(windowed.upload_id)
    assert received == {number: google_crc32c.value(part(number)) for number in range(1, COUNT + 1)}


async def test_the_tail_of_a_window_keeps_its_room(windowed: Mouth) -> None:
    await windowed.append(0, DATA[:1000])
    await windowed.door.release.run(windowed.upload_id)
    await windowed.door.release.reconcile(windowed.upload_id)
    assert await windowed.door.taken() == {1}
    assert (await windowed.append(1000, DATA[1000:SEGMENT])).offset == SEGMENT
    received = await windowed.door.cell.segments.received(windowed.upload_id)
    assert received == {1: google_crc32c.value(part(1))}


async def test_a_window_gets_back_the_room_of_a_request_that_brought_nothing(windowed: Mouth) -> None:
    assert await windowed.refused(0, broken(b"")) == "APPEND_CUT_OFF"
    assert await windowed.door.taken() == set()


async def test_a_window_accepts_no_body_with_a_digest_that_it_cannot_hold(windowed: Mouth) -> None:
    digest = ClientDigest("sha-256", hashlib.sha256(DATA).digest())
    for body in (DATA, whole(DATA)):  # the second one is of unknown length
        assert await windowed.refused(0, body, digest) == "APPEND_TOO_LARGE"
        assert await windowed.offset() == 0
        assert await windowed.door.taken() == set()


async def test_an_upload_that_waits_keeps_no_byte_of_a_body_with_a_digest(play: Play, tmp_path: Path) -> None:
    """The digest was compared with nothing."""
    door = await opened(play, tmp_path, window=None)
    door.upload, _ = await play.board.create(new_upload(size_bytes=len(DATA), segment_bytes=SEGMENT))
    mouth, digest = mouth_of(door), ClientDigest("sha-256", hashlib.sha256(DATA).digest())
    for _ in range(6):
        assert await mouth.refused(0, DATA, digest) == "APPEND_NO_ROOM"
        assert await mouth.offset() == 0


async def test_an_upload_that_waits_grows_by_single_bytes_after_some_refusals(play: Play, tmp_path: Path) -> None:
    door = await opened(play, tmp_path, window=None)
    upload, _ = await play.board.create(new_upload(size_bytes=len(DATA), segment_bytes=SEGMENT))
    door.upload = upload
    mouth = mouth_of(door)
    for offset in (0, 0, 0, 0, 1, 1, 1, 1, 2):
        assert await mouth.offset() == offset
        assert await mouth.refused(offset, DATA[offset:]) == "APPEND_NO_ROOM"
    holding = mouth_of(door, hold_seconds=60)
    waiting = asyncio.create_task(holding.append(2, DATA[2:]))
    await door.cell.ledger.request(upload.upload_id, len(DATA), DiskReading(2**40, 0, 0), None)
    await door.cell.volume.allocate(upload.upload_id, len(DATA))
    await play.board.apply(upload.upload_id, Event.ADMIT)
    assert (await waiting).complete
    assert mouth.file() == DATA
    received = await door.cell.segments.received(upload.upload_id)
    assert received == {number: google_crc32c.value(part(number)) for number in range(1, COUNT + 1)}


async def test_the_journal_has_the_tail(held: Mouth) -> None:
    cell = cell_state(held.door.play, held.door.cell.volume)  # type: ignore[arg-type]  # the door's volume is a directory
    for offset in range(0, 3000, 1000):
        await held.append(offset, DATA[offset : offset + 1000])
        journal = await cell.journals.read(held.upload_id)
        assert journal is not None
        assert journal.tail is not None
        assert (journal.tail.number, journal.tail.size_bytes) == (1, offset + 1000)
        assert journal.tail.crc32c == google_crc32c.value(DATA[: offset + 1000])
    await held.append(3000, DATA[3000:SEGMENT])
    journal = await cell.journals.read(held.upload_id)
    assert journal is not None
    assert (journal.tail, set(journal.received)) == (None, {1})
