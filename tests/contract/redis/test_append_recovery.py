"""Redis loses its data while an upload has a tail: the journal has it, and the upload continues at the exact byte."""

from __future__ import annotations

from pathlib import Path

import google_crc32c
import pytest

from pipeline.uploads.recovery import Recovery
from pipeline.uploads.release import EarlyRelease
from tests.contract.redis.doors import SEGMENT, opened, part
from tests.contract.redis.test_append import DATA, Mouth, mouth_of
from tests.contract.redis.uploads import Play, recovery_writers

pytestmark = pytest.mark.integration

OFFSET = SEGMENT + 12_345


def recovery_of(mouth: Mouth) -> Recovery:
    cell = mouth.door.cell
    return Recovery(cell, recovery_writers(mouth.door.play, cell), EarlyRelease(cell), 60)


async def lose_everything(play: Play) -> None:
    await play.parts.client.delete(*await play.keys())


@pytest.mark.parametrize("window", [None, 5])
async def test_a_lost_upload_continues_at_the_exact_byte(play: Play, tmp_path: Path, window: int | None) -> None:
    mouth = mouth_of(await opened(play, tmp_path, window=window))
    await mouth.append(0, DATA[:OFFSET])
    await lose_everything(play)
    recovery = recovery_of(mouth)
    assert await recovery.recover(mouth.upload_id) is not None
    assert await mouth.offset() == OFFSET
    assert not window or await mouth.door.taken() == {1, 2}
    reached = await mouth.append(OFFSET, DATA[OFFSET : 3 * SEGMENT])
    assert reached.offset == 3 * SEGMENT
    received = await mouth.door.cell.segments.received(mouth.upload_id)
    assert received == {number: google_crc32c.value(part(number)) for number in (1, 2, 3)}


@pytest.mark.parametrize("window", [None, 5])
async def test_a_tail_that_redis_has_lost_alone_is_restored(play: Play, tmp_path: Path, window: int | None) -> None:
    mouth = mouth_of(await opened(play, tmp_path, window=window))
    await mouth.append(0, DATA[:OFFSET])
    await play.parts.client.delete(play.parts.keys.append(mouth.upload_id))
    assert await mouth.offset() == SEGMENT
    recovery = recovery_of(mouth)
    assert await recovery.recover(mouth.upload_id) is not None
    assert await mouth.offset() == OFFSET
    assert await recovery.recover(mouth.upload_id) is None


async def test_a_tail_whose_bytes_are_gone_does_not_count(play: Play, tmp_path: Path) -> None:
    mouth = mouth_of(await opened(play, tmp_path, window=None))
    await mouth.append(0, DATA[:OFFSET])
    with mouth.door.cell.volume.path(mouth.upload_id).open("r+b") as file:
        file.seek(OFFSET - 1)
        file.write(b"!")
    await lose_everything(play)
    await recovery_of(mouth).recover(mouth.upload_id)
    assert await mouth.offset() == SEGMENT


async def test_the_journal_of_a_release_without_slots_is_read(play: Play, tmp_path: Path) -> None:
    """Its upload has no tail after Redis has lost it."""
    mouth = mouth_of(await opened(play, tmp_path, window=None))
    path = tmp_path / f"{mouth.upload_id}.journal"
    path.write_bytes(path.read_bytes()[128:])
    before = path.read_bytes()
    await mouth.append(0, DATA[:100])
    assert path.read_bytes() == before
    await lose_everything(play)
    await recovery_of(mouth).recover(mouth.upload_id)
    assert await mouth.offset() == 0
