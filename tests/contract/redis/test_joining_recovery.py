"""Processes die, and Redis loses data, while parts are joined: each segment has one owner afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.adapters.volume.temp_volume import DirectoryTempVolume
from pipeline.core.journal_entries import Received, Released, Stored
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import NewUpload, Upload
from pipeline.core.stages import Stage
from pipeline.uploads.cell import CellState
from pipeline.uploads.joined import journal_final, journal_final_of
from pipeline.uploads.recovery import Recovery
from pipeline.uploads.release import EarlyRelease
from tests.contract.redis.joining import held_part, new_final
from tests.contract.redis.uploads import VOLUME, Play, cell_state, crc_of, recovery_writers

pytestmark = pytest.mark.integration


class Scene:
    """Two parts with their journals and temp files, whose bytes have left the temp volume."""

    def __init__(self, play: Play, tmp_path: Path) -> None:
        self.play = play
        self.cell: CellState = cell_state(play, DirectoryTempVolume(VOLUME, tmp_path, durable=False))
        writers = recovery_writers(play, self.cell)
        self.journals = writers.journals
        self.recovery = Recovery(self.cell, writers, EarlyRelease(self.cell), 60)

    async def part(self) -> Upload:
        part = await held_part(self.play)
        await self.journals.begin(NewUpload.of(part))
        await self.cell.volume.allocate_sparse(part.upload_id, part.size_bytes)
        received = [Received(number, crc_of(number)) for number in (1, 2)]
        stored = [Stored(number, f"etag-{number}") for number in (1, 2)]
        await self.journals.note(part.upload_id, *received, *stored, Released((1, 2)))
        return part

    async def joined(self) -> tuple[list[Upload], Upload]:
        parts = [await self.part(), await self.part()]
        final, _ = await self.play.board.create(new_final(parts))
        return parts, final

    async def lose(self, *uploads: Upload) -> None:
        """Redis loses these, or everything."""
        keys = await self.play.keys()
        lost = [key for key in keys if not uploads or any(upload.upload_id in key for upload in uploads)]
        await self.play.parts.client.delete(*lost)

    async def statuses(self, *uploads: Upload) -> list[Status]:
        return [(await self.play.board.get(upload.upload_id)).status for upload in uploads]


@pytest.fixture
def scene(play: Play, tmp_path: Path) -> Scene:
    return Scene(play, tmp_path)


async def require_joined(scene: Scene, parts: list[Upload], final: Upload) -> None:
    assert await scene.statuses(*parts, final) == [Status.JOINED, Status.JOINED, Status.PROCESSING]
    rebuilt = await scene.play.board.get(final.upload_id)
    assert (rebuilt.parts, rebuilt.concat, rebuilt.plan) == (final.parts, final.concat, final.plan)
    stored = await scene.play.segments.stored(rebuilt)
    assert [item.etag for item in stored] == ["etag-1", "etag-2"] * 2
    assert {job.stage for job in rebuilt.queued_jobs} == {Stage.SEAL, Stage.PROBE}


async def test_everything_is_lost_after_the_final_upload_was_journaled(scene: Scene) -> None:
    parts, final = await scene.joined()
    await journal_final(scene.cell, final)
    await scene.lose()
    assert await scene.recovery.recover(final.upload_id) is not None, "also before its parts"
    await require_joined(scene, parts, final)
    for part in parts:
        await scene.recovery.recover(part.upload_id)
    await require_joined(scene, parts, final)


async def test_the_last_second_is_lost_after_the_final_upload_was_journaled(scene: Scene) -> None:
    parts = [await scene.part(), await scene.part()]
    final = await scene.play.board.get((await scene.play.board.create(new_final(parts)))[0].upload_id)
    await journal_final(scene.cell, final)
    await scene.lose()
    for part in parts:  # as they were before
        journal = await scene.cell.journals.read(part.upload_id)
        assert journal is not None
        await scene.play.board.rebuild(journal, has_file=True, grants_seconds=60)
    assert Status.JOINED not in await scene.statuses(*parts)
    await scene.recovery.recover(final.upload_id)
    await require_joined(scene, parts, final)


async def test_everything_is_lost_before_the_final_upload_was_journaled(scene: Scene) -> None:
    """Its client has no response yet, and joins the parts again."""
    parts, final = await scene.joined()
    await scene.journals.begin(NewUpload.of(final))
    await scene.journals.note(final.upload_id, Stored(1, "etag-1"))
    await scene.lose()
    for upload_id in await scene.cell.journals.ids():
        await scene.recovery.recover(upload_id)
    assert await scene.recovery.unknown() == []
    for part in parts:
        upload = await scene.play.board.get(part.upload_id)
        assert (upload.status, upload.segments_stored) == (Status.PROCESSING, 2)
        (transfer,) = upload.queued_jobs
        await scene.play.finished(transfer)
    assert await scene.statuses(*parts) == [Status.HELD, Status.HELD]
    again, created = await scene.play.board.create(new_final(parts))
    assert (created, again.upload_id != final.upload_id) == (True, True)


async def test_a_part_completes_the_journal_of_its_final_upload(scene: Scene) -> None:
    """The gateway died after the script; cleanup of a part runs before anything of it is removed."""
    parts, final = await scene.joined()
    assert await scene.cell.journals.read(final.upload_id) is None
    for part in parts:
        await journal_final_of(scene.cell, await scene.play.board.get(part.upload_id))
    journal = await scene.cell.journals.read(final.upload_id)
    assert journal is not None
    assert (journal.completed, list(journal.stored.values())) == (True, ["etag-1", "etag-2"] * 2)


@pytest.mark.parametrize("ends", [Event.CANCEL, Event.FAIL])
async def test_the_journals_of_the_parts_end_with_that_of_the_final_upload(scene: Scene, ends: Event) -> None:
    """Otherwise a part whose cleanup is late would come back as its own owner, and expire."""
    parts, final = await scene.joined()
    await journal_final(scene.cell, final)
    await scene.play.board.apply(final.upload_id, ends, ("UPLOAD_CANCELLED", ""))
    await scene.cell.record.journal_end(await scene.play.board.get(final.upload_id))
    await scene.lose()
    for upload_id in await scene.cell.journals.ids():
        await scene.recovery.recover(upload_id)
    assert await scene.statuses(*parts) == [Status.JOINED, Status.JOINED]


async def test_a_journal_that_is_complete_is_not_written_again(scene: Scene) -> None:
    _, final = await scene.joined()
    for _ in range(3):
        await journal_final(scene.cell, final)
    path = scene.cell.volume.path(final.upload_id).parent / f"{final.upload_id}.journal"
    assert path.read_bytes().count(b'["completed"]') == 1
