"""The length of a file that was not known when its upload was created (`Deferred.LENGTH`): it is announced later.

Guarantee: a length never changes once it is journaled: of two requests that announce different ones, the first in the
journal counts. The steps, each of which may be repeated:

    1. the board checks it: no more bytes have arrived, and the limits of the owner allow it
    2. the journal has it
    3. the temp file is cut off at it
    4. the board sets it: the plan, the counters of the owner, what the window needs; the reader may start

A process that dies in between leaves it to the next request that announces the length, or to recovery. Until step 4,
the plan is that of the largest file that it may be, and a segment is recorded only when a byte after it has arrived. So
the last segment is always the tail when the length becomes known, and is recorded as every other one.
"""

from __future__ import annotations

from contextlib import suppress

from pipeline.core.errors import DependencyUnavailable, RequestError
from pipeline.core.model import Upload
from pipeline.logs import Log, logger
from pipeline.ports import LengthVerdict
from pipeline.uploads.append_turn import Turn
from pipeline.uploads.cell import CellState
from pipeline.uploads.lookup import ended_error


async def set_length(cell: CellState, upload: Upload, turn: Turn, size_bytes: int) -> Upload:
    """Set the length of an admitted upload; the upload then. Raises RequestError UPLOAD_LENGTH_DIFFERS,
    UPLOAD_HEADER_INVALID, APPEND_SUPERSEDED, FILE_TOO_LARGE_FOR_OWNER; LimitReached OWNER_LIMIT, DAILY_LIMIT;
    UploadEnded; TempVolumeError; DependencyUnavailable."""
    turn.require()
    _require(await cell.record.check_length(upload, turn.token, size_bytes), turn, size_bytes)
    await cell.record.announce_length(upload, size_bytes)
    journal = await cell.journals.read(upload.upload_id)
    if journal is not None and journal.planned:
        _require_same(journal.new.size_bytes, size_bytes)
    await cell.volume.shorten(upload.upload_id, size_bytes)
    verdict = await cell.record.set_length(upload, turn.token, size_bytes)
    _require(verdict, turn, size_bytes)
    with suppress(DependencyUnavailable):  # the stages are queued: their jobs come back as overdue stages
        for job in verdict.jobs:
            await cell.queue.enqueue(job)
    current = await cell.uploads.get(upload.upload_id)
    if current.deferred is not None:
        raise ended_error(current)
    logger(upload_id=upload.upload_id).info(Log.UPLOAD_LENGTH_KNOWN, size_bytes=size_bytes, segments=current.plan.count)
    return current


def _require(verdict: LengthVerdict, turn: Turn, size_bytes: int) -> None:
    if verdict.superseded:
        turn.supersede()
        turn.require()
    if verdict.short:
        reason = "more bytes than that have arrived"
        raise RequestError("UPLOAD_HEADER_INVALID", header="Upload-Length", reason=reason)
    if verdict.size_bytes is not None:
        _require_same(verdict.size_bytes, size_bytes)


def _require_same(known_bytes: int, size_bytes: int) -> None:
    if known_bytes != size_bytes:
        raise RequestError("UPLOAD_LENGTH_DIFFERS", size_bytes=known_bytes, announced_bytes=size_bytes)
