"""Journals begin at admission: what an upload that waits has on the disk, and what a crash leaves at each step."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.admission import DiskReading
from pipeline.core.journal_entries import Ended
from pipeline.core.journal_size import journal_bytes
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import NewUpload, Upload
from pipeline.core.windows import on_disk_bytes
from pipeline.upkeep import orphaned_files
from tests.harness.disks import fill, small_disk
from tests.harness.new_uploads import new_upload
from tests.integration.admission.cell import BUDGET_BYTES, KIBIBYTE, Cell, open_cell

pytestmark = pytest.mark.integration


def names(directory: Path) -> list[str]:
    """What is on the volume, without the random part of the names."""
    return sorted(path.suffix for path in directory.iterdir())


async def created(cell: Cell, **more: Any) -> Upload:
    facts = {"size_bytes": KIBIBYTE, "segment_bytes": KIBIBYTE, "store": "none", "idempotency_key": "key"}
    upload, _ = await cell.redis.board.create(new_upload(**facts | {"fingerprint": "same"} | more))
    return upload


async def granted(cell: Cell, upload: Upload) -> int:
    """A caller that dies after the ledger has reserved the bytes; what it has reserved."""
    ledger = cell.redis.ledger
    await ledger.open(await cell.redis.board.server_run())
    disk = DiskReading(BUDGET_BYTES, 0, await ledger.epoch() or 0)
    beside = journal_bytes(NewUpload.of(upload))
    occupied = on_disk_bytes(upload.size_bytes)
    outcome = await ledger.request(upload.upload_id, occupied, disk, upload.window_bytes, journal_bytes=beside)
    assert outcome is not None
    assert [one.upload_id for one in outcome.to_allocate] == [upload.upload_id]
    return occupied + beside


async def is_admitted(cell: Cell, upload: Upload, reserved_bytes: int) -> None:
    """It is admitted once, and has one temp file and one journal, from which its whole record can be rebuilt."""
    assert (await cell.redis.board.get(upload.upload_id)).status is Status.ADMITTED
    journal = await cell.state.journals.read(upload.upload_id)
    assert journal is not None
    assert (journal.new, journal.ended) == (NewUpload.of(upload), None)
    assert (journal.new.idempotency_key, journal.new.fingerprint) == ("key", "same")
    books = await cell.redis.ledger.snapshot()
    assert (books.reserved_bytes, books.backed_bytes, books.reservations) == (reserved_bytes, reserved_bytes, 1)


async def test_300_uploads_that_wait_leave_the_volume_as_it_was(
    redis_url: str, redis_namespace: str, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 8 * KIBIBYTE * KIBIBYTE) as disk:
        async with open_cell(redis_url, redis_namespace, disk) as cell:
            first = await created(cell, size_bytes=BUDGET_BYTES - 8 * KIBIBYTE)
            await cell.admission.request(first)
            before, free_bytes = names(disk), await cell.volume.free_bytes()
            assert before == [".data", ".journal"]
            for number in range(300):
                # A journal of 320 KiB, were there one.
                upload = await created(cell, size_bytes=1_000_000, segment_bytes=1_000, idempotency_key=f"{number}")
                await cell.admission.request(upload)
            await cell.upkeep.tick()
            await cell.upkeep.sweep()
            assert (await cell.redis.ledger.snapshot()).waiting == 300
            assert (names(disk), await cell.volume.free_bytes()) == (before, free_bytes)


@pytest.mark.parametrize("dies", ["granted", "allocated", "journaled", "admitted"])
async def test_the_next_run_completes_an_admission_whose_caller_died(
    redis_url: str, redis_namespace: str, tmp_path: Path, dies: str
) -> None:
    async with open_cell(redis_url, redis_namespace, tmp_path, lease_seconds=60) as cell:
        upload = await created(cell)
        reserved_bytes = await granted(cell, upload)
        steps: dict[str, Callable[[], Awaitable[Any]]] = {
            "allocated": lambda: cell.volume.allocate(upload.upload_id, upload.size_bytes),
            "journaled": lambda: cell.state.record.begin_journal(upload),
            "admitted": lambda: cell.state.record.admit(upload.upload_id),
        }
        for step in list(steps)[: ["granted", *steps].index(dies)]:
            await steps[step]()
        await cell.upkeep.tick()
        await is_admitted(cell, upload, reserved_bytes)
        assert names(tmp_path) == [".data", ".journal"]


async def test_two_admission_workers_allocate_one_reservation(
    redis_url: str, redis_namespace: str, tmp_path: Path
) -> None:
    async with (
        open_cell(redis_url, redis_namespace, tmp_path, lease_seconds=60) as cell,
        open_cell(redis_url, redis_namespace, tmp_path, lease_seconds=60) as other,
    ):
        upload = await created(cell)
        reserved_bytes = await granted(cell, upload)
        await asyncio.gather(*(each.admission.run() for each in (cell, other) * 4))
        await is_admitted(cell, upload, reserved_bytes)
        assert names(tmp_path) == [".data", ".journal"]


async def test_no_room_for_the_journal_of_an_allocated_file(
    redis_url: str, redis_namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program fills the disk between the two. The reservation stays, and the next run completes it."""
    with small_disk(tmp_path / "disk", 4 * KIBIBYTE * KIBIBYTE) as disk:
        async with open_cell(redis_url, redis_namespace, disk, lease_seconds=60) as cell:
            upload = await created(cell)
            allocate, fillers = type(cell.volume).allocate, list[Path]()

            async def allocate_and_fill(self: Any, upload_id: str, size_bytes: int) -> int:
                backed_bytes = await allocate(self, upload_id, size_bytes)
                fillers.append(fill(disk))
                return backed_bytes

            with monkeypatch.context() as patch:
                patch.setattr(type(cell.volume), "allocate", allocate_and_fill)
                await cell.admission.request(upload)
            assert (await cell.redis.board.get(upload.upload_id)).status is Status.WAITING
            assert await cell.state.journals.read(upload.upload_id) is None
            fillers[0].unlink()
            await cell.admission.run()
            await is_admitted(cell, upload, on_disk_bytes(upload.size_bytes) + journal_bytes(NewUpload.of(upload)))


@pytest.mark.parametrize("dies", [False, True], ids=["goes on", "dies"])
@pytest.mark.parametrize("moment", ["before the file", "before the journal", "before the status"])
async def test_an_upload_that_is_cancelled_while_it_is_granted_leaves_nothing(
    redis_url: str,
    redis_namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    dies: bool,
) -> None:
    """It is cancelled and cleaned up between two steps of its admission, whose process may die after the next step."""
    for name in ("_FILE_SECONDS", "_JOURNAL_SECONDS"):
        monkeypatch.setattr(orphaned_files, name, -1.0)
    async with open_cell(redis_url, redis_namespace, tmp_path, lease_seconds=60) as cell:
        upload = await created(cell)
        where, name = {
            "before the file": (type(cell.volume), "allocate"),
            "before the journal": (type(cell.state.record), "begin_journal"),
            "before the status": (type(cell.state.record), "admit"),
        }[moment]
        step = getattr(where, name)

        async def cancelled_meanwhile(self: Any, *arguments: Any) -> Any:
            await cell.redis.board.apply(upload.upload_id, Event.CANCEL)
            await cell.cleanups.run()
            done = await step(self, *arguments)
            if dies:
                raise asyncio.CancelledError
            return done

        with monkeypatch.context() as patch:
            patch.setattr(where, name, cancelled_meanwhile)
            try:
                await cell.admission.request(upload)
            except asyncio.CancelledError:
                assert dies
        assert (await cell.redis.board.get(upload.upload_id)).released_at_ms is not None
        await cell.upkeep.tick()
        journal = await cell.state.journals.read(upload.upload_id)
        for _ in range(2):
            await cell.upkeep.sweep()
        assert names(tmp_path) == []
        assert journal is None or dies or journal.ended == Ended(Status.CANCELLED)
        books = await cell.redis.ledger.snapshot()
        assert (books.reserved_bytes, books.backed_bytes, books.waiting) == (0, 0, 0)


async def test_a_reservation_that_another_caller_postpones_is_not_taken_for_an_ended_upload(
    redis_url: str, redis_namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_cell(redis_url, redis_namespace, tmp_path, lease_seconds=60) as cell:
        upload = await created(cell)
        record, ledger = cell.state.record, cell.redis.ledger
        admit = type(record).admit

        async def postponed_meanwhile(self: Any, upload_id: str) -> Any:
            assert await ledger.postpone(upload_id)
            return await admit(self, upload_id)

        with monkeypatch.context() as patch:
            patch.setattr(type(record), "admit", postponed_meanwhile)
            await cell.admission.request(upload)
        assert (await ledger.snapshot()).waiting == 1
        await cell.upkeep.tick()
        await is_admitted(cell, upload, on_disk_bytes(upload.size_bytes) + journal_bytes(NewUpload.of(upload)))
