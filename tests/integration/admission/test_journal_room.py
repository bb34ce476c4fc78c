"""Room for journals: in the reservation of an admitted upload, in the headroom for uploads that reserve nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NoReturn

import pytest

from pipeline.core.errors import TempVolumeError
from pipeline.core.journal_size import journal_bytes
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import NewUpload
from pipeline.core.segments import StoreLimits
from pipeline.core.transports import Transport
from pipeline.core.windows import BLOCK_BYTES, on_disk_bytes
from tests.harness.disks import fill, small_disk
from tests.harness.new_uploads import new_upload
from tests.integration.admission.cell import KIBIBYTE, open_cell
from tests.integration.admission.test_journals import created

pytestmark = pytest.mark.integration


async def repeat(step: Callable[[], Awaitable[None]]) -> NoReturn:
    """Until it raises."""
    while True:
        await step()


async def test_journals_of_direct_uploads_leave_half_of_the_headroom_free(
    redis_url: str, redis_namespace: str, tmp_path: Path
) -> None:
    """They reserve nothing, so more of them are refused."""
    megabyte = KIBIBYTE * KIBIBYTE
    with small_disk(tmp_path / "disk", 4 * megabyte) as disk:
        async with open_cell(redis_url, redis_namespace, disk, lease_seconds=60, headroom_bytes=2 * megabyte) as cell:
            held = await created(cell, size_bytes=megabyte)  # of the room beside the headroom
            await cell.admission.request(held)
            upload = held
            before, begun = await cell.volume.free_bytes(), 0
            upload = held

            async def begin_another() -> None:
                nonlocal upload, begun
                new = new_upload(transport=Transport.DIRECT, metadata={"title": "x" * 16_000}, store="none")
                await cell.admission.require_journal_room(new)
                upload, _ = await cell.redis.board.create(new)
                await cell.state.record.begin_journal(upload)
                begun += 1

            with pytest.raises(TempVolumeError) as refused:
                await repeat(begin_another)
            assert (refused.value.code, refused.value.http_status) == ("TEMP_VOLUME_FULL", 507)
            free_bytes = await cell.volume.free_bytes()
            assert before - free_bytes == begun * journal_bytes(NewUpload.of(upload))
            assert megabyte <= free_bytes < megabyte + 8 * journal_bytes(NewUpload.of(upload))
            (disk / f"{upload.upload_id}.journal").unlink()
            await begin_another()


@pytest.mark.parametrize("window_bytes", [None, 4 * KIBIBYTE * KIBIBYTE])
async def test_a_direct_upload_counts_what_windows_have_not_taken_yet(
    redis_url: str, redis_namespace: str, tmp_path: Path, window_bytes: int | None
) -> None:
    megabyte = KIBIBYTE * KIBIBYTE
    with small_disk(tmp_path / "disk", 6 * megabyte) as disk:
        async with open_cell(
            redis_url, redis_namespace, disk, budget_bytes=5 * megabyte, headroom_bytes=1 * megabyte
        ) as cell:
            if window_bytes:
                held = await created(cell, size_bytes=100 * megabyte, segment_bytes=megabyte, window_bytes=window_bytes)
                await cell.admission.request(held)
                assert (await cell.redis.ledger.snapshot()).reservations == 1
            filler = fill(disk)
            with filler.open("r+b") as file:
                file.truncate(filler.stat().st_size - 2 * megabyte)  # so much is free
            new = new_upload(transport=Transport.DIRECT, store="none")
            if window_bytes is None:
                await cell.admission.require_journal_room(new)
            else:
                with pytest.raises(TempVolumeError):
                    await cell.admission.require_journal_room(new)


@pytest.mark.parametrize("share", [1.0, 0.25])
@pytest.mark.parametrize("budget_blocks", [40, 100, 1_000])
async def test_every_planned_upload_fits_into_the_budget_with_its_journal(
    redis_url: str, redis_namespace: str, tmp_path: Path, budget_blocks: int, share: float
) -> None:
    budget_bytes = budget_blocks * BLOCK_BYTES
    async with open_cell(redis_url, redis_namespace, tmp_path, budget_bytes=budget_bytes, share=share) as cell:
        limits = StoreLimits(1_000, 1, 2**30, 2**40)
        whole = 0
        for size_bytes in (1, *range(BLOCK_BYTES - 1, 2 * budget_bytes, budget_bytes // 64 + 1), 10 * budget_bytes):
            draft = new_upload(size_bytes=size_bytes, store="none", metadata={"title": "x" * 5_000})
            planned = await cell.admission.plan(draft, limits, 10 * BLOCK_BYTES)
            held = planned.window_bytes or on_disk_bytes(size_bytes)
            assert held + journal_bytes(planned) <= budget_bytes
            whole += planned.window_bytes is None
            upload, _ = await cell.redis.board.create(planned)
            assert NewUpload.of(upload) == planned, "the journal is that of the plan"
            await cell.admission.request(upload)
            assert (await cell.redis.board.get(upload.upload_id)).status is Status.ADMITTED
            books = await cell.redis.ledger.snapshot()
            assert books.reserved_bytes == held + journal_bytes(planned)
            await cell.redis.board.apply(upload.upload_id, Event.CANCEL)
            await cell.cleanups.run()
        assert whole > 1
