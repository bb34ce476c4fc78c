"""Journals on a real disk: created whole or not at all, appended to by many processes, removed after their end."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from pipeline.adapters.volume.journals import FileUploadJournals
from pipeline.core.journal import Journal
from pipeline.core.journal_entries import Ended, Received
from pipeline.core.journal_size import journal_bytes
from pipeline.core.lifecycle import Status
from pipeline.core.stored_objects import ObjectVersion
from pipeline.core.transports import Transport
from pipeline.core.windows import BLOCK_BYTES
from tests.harness.disks import filesystem
from tests.harness.new_uploads import new_upload

pytestmark = pytest.mark.integration

NEW = new_upload(size_bytes=100_000, segment_bytes=10)

APPEND = """
import asyncio, sys
from pathlib import Path
from pipeline.adapters.volume.journals import FileUploadJournals
from pipeline.core.journal_entries import Received

async def main(directory, upload_id, first, durable):
    journals = FileUploadJournals(Path(directory), durable=durable)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(first, first + 200):
        await journals.note(upload_id, Received(number, number))

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "fsync"))
"""


@pytest.fixture(params=[False, True], ids=["page-cache", "fsync"])
def journals(request: pytest.FixtureRequest, tmp_path: Path) -> FileUploadJournals:
    return FileUploadJournals(tmp_path, durable=request.param)


async def journal_of(journals: FileUploadJournals) -> Journal:
    journal = await journals.read(NEW.upload_id)
    assert journal is not None
    return journal


async def test_an_import_of_any_size_takes_no_room(journals: FileUploadJournals, tmp_path: Path) -> None:
    """A journal has room for the entries of each segment that arrives or is stored, and an import has none of them."""
    source = ObjectVersion("raw", "a", "e")
    new = new_upload(size_bytes=5 * 1024**4, segment_bytes=10 * 1024**2, transport=Transport.IMPORT, source=source)
    await journals.begin(new)
    (path,) = tmp_path.iterdir()
    assert path.stat().st_blocks * 512 <= 8192
    await journals.begin(NEW)
    assert (tmp_path / f"{NEW.upload_id}.journal").stat().st_blocks * 512 > 10_000 * 300


@pytest.mark.parametrize("kind", ["ext4", "xfs", "tmpfs"])
async def test_an_ended_journal_gives_back_what_it_did_not_use(tmp_path: Path, kind: str) -> None:
    """It is kept for a while, after its upload's reservation was released."""
    with filesystem(kind, tmp_path) as disk:
        journals = FileUploadJournals(disk, durable=False)
        await journals.begin(NEW)
        (path,) = disk.glob("*.journal")
        assert path.stat().st_blocks * 512 == journal_bytes(NEW)
        await journals.note(NEW.upload_id, Received(1, 1))
        await journals.end(NEW.upload_id, Ended(Status.CANCELLED))
        (path,) = disk.glob("*.journal-ended")
        assert path.stat().st_blocks * 512 <= BLOCK_BYTES
        ended = await journal_of(journals)
        assert (ended.received, ended.ended) == ({1: 1}, Ended(Status.CANCELLED))


async def test_no_entry_is_cut_off_while_a_journal_ends(journals: FileUploadJournals, tmp_path: Path) -> None:
    await journals.begin(NEW)
    notes = [asyncio.create_task(journals.note(NEW.upload_id, Received(number, number))) for number in range(1, 301)]
    await asyncio.gather(*(journals.end(NEW.upload_id, Ended(Status.CANCELLED)) for _ in range(20)), *notes)
    lines = (tmp_path / f"{NEW.upload_id}.journal-ended").read_bytes().split(b"\n")
    kept = await journal_of(journals)
    assert len([line for line in lines if b'"rec' in line]) == len(kept.received)
    assert kept.ended == Ended(Status.CANCELLED)


async def test_a_journal_from_begin_to_end(journals: FileUploadJournals, tmp_path: Path) -> None:
    await journals.note(NEW.upload_id, Received(1, 1))
    assert await journals.read(NEW.upload_id) is None, "entries without a journal are dropped"
    await asyncio.gather(*(journals.begin(NEW) for _ in range(8)))
    await journals.note(NEW.upload_id, Received(1, 1), Received(2, 2))
    await journals.begin(NEW)
    assert await journal_of(journals) == Journal(NEW, {1: 1, 2: 2})
    for _ in range(2):
        await journals.end(NEW.upload_id, Ended(Status.CANCELLED, ("UPLOAD_CANCELLED", "why")))
    await journals.begin(NEW)
    assert (await journal_of(journals)).ended == Ended(Status.CANCELLED, ("UPLOAD_CANCELLED", "why"))
    assert await journals.ids() == [NEW.upload_id]
    assert await journals.ended(60) == []
    assert await journals.ended(-1) == [NEW.upload_id]
    await journals.remove([NEW.upload_id])
    assert list(tmp_path.iterdir()) == []
    await journals.end(NEW.upload_id, Ended(Status.READY))
    assert list(tmp_path.iterdir()) == []


async def test_journals_of_live_uploads_are_never_removed(journals: FileUploadJournals, tmp_path: Path) -> None:
    await journals.begin(NEW)
    unfinished = tmp_path / "0123.journal-new"  # its process was killed
    unfinished.touch()
    os.utime(unfinished, (0, 0))
    assert await journals.ended(-1) == []
    await journals.remove([NEW.upload_id])
    assert [path.name for path in tmp_path.iterdir()] == [f"{NEW.upload_id}.journal"]


async def test_entries_of_concurrent_processes_do_not_mix(
    journals: FileUploadJournals, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    await journals.begin(NEW)
    writing = request.node.callspec.id
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", APPEND, str(tmp_path), NEW.upload_id, str(first), writing),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for first in (1, 201, 401)
    ]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    await asyncio.wait_for(asyncio.gather(*(process.communicate(b"go\n") for process in processes)), 60)
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert (await journal_of(journals)).received == {number: number for number in range(1, 601)}
