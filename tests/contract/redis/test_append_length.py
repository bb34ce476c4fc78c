"""Files whose length is not known at first, on the real boards and a real temp volume: whatever is announced when, and
whatever dies in between, the file becomes what its client has sent, and its reservation what the file needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import google_crc32c
import pytest

from pipeline.adapters.redis.reads import hash_all
from pipeline.core.errors import SluiceError, TempVolumeError
from pipeline.core.lifecycle import Status
from pipeline.core.model import Upload
from pipeline.core.segments import SegmentPlan
from pipeline.core.stages import Stage, StageState
from pipeline.core.windows import on_disk_bytes
from pipeline.uploads.append import Position
from tests.contract.redis.doors import COUNT, SEGMENT, WINDOW, opened
from tests.contract.redis.test_append import DATA, Mouth, mouth_of, whole
from tests.contract.redis.test_append_recovery import lose_everything, recovery_of
from tests.contract.redis.uploads import VOLUME, Play

pytestmark = pytest.mark.integration

SIZE = 2 * SEGMENT + 12_345
_SIZES = pytest.mark.parametrize("size", [1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT, SIZE])


@pytest.fixture
async def mouth(play: Play, tmp_path: Path) -> Mouth:
    return mouth_of(await opened(play, tmp_path, deferred=True))


async def send(mouth: Mouth, offset: int, data: bytes, *, known: bool = True, **more: Any) -> Position:
    gateway = mouth.gateways[0]
    return await gateway.append(mouth.upload_id, offset, whole(data), len(data) if known else None, **more)


async def refused(mouth: Mouth, offset: int, data: bytes, **more: Any) -> str:
    with pytest.raises(SluiceError) as raised:
        await send(mouth, offset, data, **more)
    return raised.value.code


async def upload_of(mouth: Mouth) -> Upload:
    return await mouth.door.play.board.get(mouth.upload_id)


async def reserved(mouth: Mouth) -> tuple[int, int]:
    """The bytes that the upload has reserved for its file, and that the disk has allocated."""
    parts = mouth.door.play.parts
    reservations, backed = [
        (await hash_all(parts.client, f"{parts.keys.volume(VOLUME)}:{name}"))[mouth.upload_id]
        for name in ("reservations", "backed")
    ]
    return int(reservations), int(backed)


async def require_whole(mouth: Mouth, size: int) -> None:
    """The file has arrived, and the reservation is what it needs."""
    upload, plan = await upload_of(mouth), SegmentPlan(size, SEGMENT)
    assert (upload.status, upload.deferred, upload.plan, upload.size_bytes) == (Status.PROCESSING, None, plan, size)
    assert (upload.bytes_received, upload.segments_received, upload.tail_bytes) == (size, plan.count, 0)
    assert await mouth.offset() == size
    assert mouth.file() == DATA[:size]
    assert await mouth.door.cell.segments.received(mouth.upload_id) == {
        number: google_crc32c.value(DATA[plan.offset(number) : plan.offset(number) + plan.length(number)])
        for number in range(1, plan.count + 1)
    }
    assert await reserved(mouth) == (on_disk_bytes(size), on_disk_bytes(size))
    assert await mouth.door.taken() == set(range(1, plan.count + 1))
    assert mouth.door.on_disk() == on_disk_bytes(size)


@_SIZES
@pytest.mark.parametrize("chunk", [7_777, SEGMENT, len(DATA)])
@pytest.mark.parametrize("way", ["named with the last bytes", "named afterwards", "at the end", "at an unknown end"])
async def test_the_length_becomes_known_at_the_end(mouth: Mouth, size: int, chunk: int, way: str) -> None:
    starts = range(0, size, chunk)
    for start in starts:
        last, data = start == starts[-1], DATA[start : min(size, start + chunk)]
        known = not (last and way == "at an unknown end")
        named = {"size_bytes": size} if last and way == "named with the last bytes" else {}
        await send(mouth, start, data, known=known, ends=last and way.startswith("at "), **named)
    if way == "named afterwards":
        assert (await upload_of(mouth)).status is not Status.PROCESSING
        assert (await send(mouth, size, b"", size_bytes=size)).complete
    await require_whole(mouth, size)


@_SIZES
async def test_the_length_becomes_known_at_the_beginning(mouth: Mouth, size: int) -> None:
    assert not (await send(mouth, 0, b"", size_bytes=size)).complete
    upload = await upload_of(mouth)
    assert (upload.deferred, upload.plan) == (None, SegmentPlan(size, SEGMENT))
    assert (await send(mouth, 0, DATA[:size])).complete
    await require_whole(mouth, size)


async def test_a_segment_counts_when_a_byte_after_it_arrives(mouth: Mouth) -> None:
    """It may be the last one, whose length and place in the store differ."""
    await send(mouth, 0, DATA[:SEGMENT])
    upload = await upload_of(mouth)
    assert (upload.segments_received, upload.tail_bytes, upload.size_bytes) == (0, SEGMENT, SEGMENT)
    await send(mouth, SEGMENT, DATA[SEGMENT : SEGMENT + 1])
    upload = await upload_of(mouth)
    assert (upload.segments_received, upload.tail_bytes, upload.size_bytes) == (1, 1, 2 * SEGMENT)
    assert upload.stages[Stage.TRANSFER].state is StageState.QUEUED
    assert upload.stages[Stage.PROBE].state is StageState.PENDING
    await send(mouth, SEGMENT + 1, b"", size_bytes=SIZE)
    assert (await upload_of(mouth)).stages[Stage.PROBE].state is StageState.QUEUED


async def test_the_file_ends_where_it_must(mouth: Mouth) -> None:
    """More than it may have is refused, and what it may have is a file."""
    most = COUNT * SEGMENT
    mouth.door.upload = await upload_of(mouth)
    await send(mouth, 0, DATA[: 3 * SEGMENT])
    assert await refused(mouth, 3 * SEGMENT, b"", size_bytes=most + 1) == "DEFERRED_TOO_LARGE"
    assert await refused(mouth, 3 * SEGMENT, b"x" * most) == "DEFERRED_TOO_LARGE"
    for size in (0, 5, 2 * SEGMENT, 3 * SEGMENT - 1):
        assert await refused(mouth, 3 * SEGMENT, b"", size_bytes=size) == "APPEND_TOO_LONG"
    assert await mouth.offset() == 3 * SEGMENT


class Died(Exception):
    """A process ends here."""


def dies(*_: object, **__: object) -> Any:
    raise Died


@pytest.mark.parametrize(
    ("where", "name", "decided"),
    [
        ("record", "check_length", False),
        ("record", "announce_length", False),
        ("volume", "shorten", True),
        ("record", "set_length", True),
    ],
)
@pytest.mark.parametrize("lost", ["nothing", "everything", "the length"])
async def test_a_process_dies_before_a_step(
    mouth: Mouth, monkeypatch: pytest.MonkeyPatch, where: str, name: str, lost: str, *, decided: bool
) -> None:
    """Once it is in the journal, no other length is accepted. Recovery sets it, or the next request."""
    await send(mouth, 0, DATA[: SIZE - 5])
    with monkeypatch.context() as patched:
        patched.setattr(type(getattr(mouth.door.cell, where)), name, dies)
        with pytest.raises(Died):
            await send(mouth, SIZE - 5, DATA[SIZE - 5 : SIZE], size_bytes=SIZE)
    if lost == "everything":
        await lose_everything(mouth.door.play)
    if lost != "nothing":
        await recovery_of(mouth).recover(mouth.upload_id)
        assert ((await upload_of(mouth)).deferred is None) == decided
    assert await mouth.offset() == SIZE - 5
    if decided:
        assert await refused(mouth, SIZE - 5, b"", size_bytes=SIZE + 1) == "UPLOAD_LENGTH_DIFFERS"
    assert (await send(mouth, SIZE - 5, DATA[SIZE - 5 : SIZE], size_bytes=SIZE)).complete
    await require_whole(mouth, SIZE)


@pytest.mark.parametrize("lost", ["nothing", "everything", "the last segment"])
async def test_a_process_dies_before_the_last_segment_is_recorded(
    mouth: Mouth, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """The next request for the offset records it."""
    await send(mouth, 0, DATA[:SIZE])
    with monkeypatch.context() as patched:
        patched.setattr(type(mouth.door.cell.record), "segment_received", dies)
        with pytest.raises(Died):
            await send(mouth, SIZE, b"", size_bytes=SIZE)
    assert (await upload_of(mouth)).status is Status.RECEIVING
    if lost == "everything":
        await lose_everything(mouth.door.play)
    if lost != "nothing":
        await recovery_of(mouth).recover(mouth.upload_id)
    assert await mouth.offset() == SIZE
    await require_whole(mouth, SIZE)


async def test_a_failed_disk_leaves_the_length_to_the_next_request(
    mouth: Mouth, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise TempVolumeError("TEMP_VOLUME_FAILED", reason="it is a test")

    await send(mouth, 0, DATA[:SIZE])
    with monkeypatch.context() as patched:
        patched.setattr(type(mouth.door.cell.volume), "shorten", fails)
        assert await refused(mouth, SIZE, b"", ends=True) == "TEMP_VOLUME_FAILED"
    assert (await send(mouth, SIZE, b"", ends=True)).complete
    await require_whole(mouth, SIZE)


async def test_an_upload_that_is_lost_before_its_length_is_known(mouth: Mouth) -> None:
    """Its owner is charged for what has arrived, and it continues."""
    await send(mouth, 0, DATA[:SIZE])
    await lose_everything(mouth.door.play)
    await recovery_of(mouth).recover(mouth.upload_id)
    upload = await upload_of(mouth)
    assert (upload.size_bytes, upload.most_bytes, upload.segments_received) == (3 * SEGMENT, COUNT * SEGMENT, 2)
    assert await mouth.offset() == SIZE
    assert (await send(mouth, SIZE, DATA[SIZE : 3 * SEGMENT], ends=True)).complete
    await require_whole(mouth, 3 * SEGMENT)


async def test_what_a_dead_gateway_had_taken_beyond_the_end_is_given_back(mouth: Mouth) -> None:
    await send(mouth, 0, DATA[:SEGMENT])
    upload, room = await upload_of(mouth), mouth.gateways[0]._room
    for number in (3, 4):
        await room.take(upload, number, "of a gateway that died")
    await send(mouth, SEGMENT, DATA[SEGMENT:SIZE], size_bytes=SIZE)
    await require_whole(mouth, SIZE)


async def test_an_append_that_lost_its_turn_sets_no_length(mouth: Mouth) -> None:
    record, upload = mouth.door.cell.record, await upload_of(mouth)
    await record.begin_append(mouth.upload_id, "hung", first=True, force=False)
    await send(mouth, 0, DATA[:100])
    assert (await record.check_length(upload, "hung", 100)).superseded
    assert (await record.set_length(upload, "hung", 100)).superseded
    assert (await upload_of(mouth)).deferred is not None


async def test_a_length_is_set_once(mouth: Mouth) -> None:
    record, upload = mouth.door.cell.record, await upload_of(mouth)
    await record.begin_append(mouth.upload_id, "request", first=True, force=False)
    for size in (SIZE, SIZE + 1, SIZE):
        assert (await record.set_length(upload, "request", size)).size_bytes == SIZE
    assert await reserved(mouth) == (on_disk_bytes(SIZE), 0)


async def test_a_file_passes_through_its_window(mouth: Mouth) -> None:
    """More segments than the window holds: those that the store has leave the disk while the length is not known."""
    door, size = mouth.door, COUNT * SEGMENT
    await send(mouth, 0, DATA[: 2 * SEGMENT + 1])
    for number in range(2, COUNT):
        start = number * SEGMENT + 1
        assert await door.store(number) == [True]
        await door.release.segment_stored(door.upload.upload_id, door.upload.plan, number)
        await send(mouth, start, DATA[start : min(size, start + SEGMENT)], ends=number == COUNT - 1)
    upload = await upload_of(mouth)
    assert (upload.status, upload.size_bytes, upload.bytes_released) == (Status.PROCESSING, size, 6 * SEGMENT)
    assert await door.taken() == {1, COUNT}
    assert await reserved(mouth) == (WINDOW * SEGMENT, 2 * SEGMENT)


async def test_bytes_that_count_for_their_owner(play: Play, tmp_path: Path) -> None:
    """Segments are counted before their bytes are received, and the exact length when it is known."""

    async def counted() -> int:
        fields = await hash_all(play.parts.client, f"{play.parts.keys.prefix}owner:default")
        return int(fields.get("bytes", 0))

    mouth = mouth_of(await opened(play, tmp_path, deferred=True))
    assert await counted() == 0
    await send(mouth, 0, DATA[: SEGMENT + 1])
    assert await counted() == 2 * SEGMENT
    await send(mouth, SEGMENT + 1, DATA[SEGMENT + 1 : SEGMENT + 10], ends=True)
    assert await counted() == SEGMENT + 10
