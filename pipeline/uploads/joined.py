"""The journal of a final upload: it says who owns the segments of its partial uploads.

Guarantee: `create` (one script) makes the final upload and ends its partial uploads. Before anything of a partial
upload is removed or its journal ends, the journal of the final upload is complete, so the recovery of a Redis
that has lost its last second, or everything, finds either that the partial uploads are joined, or nothing of the final
upload.
"""

from __future__ import annotations

from pipeline.core.errors import RequestError
from pipeline.core.lifecycle import ENDED
from pipeline.core.model import Upload
from pipeline.uploads.cell import CellState


async def journal_final(cell: CellState, upload: Upload) -> None:
    """Complete the journal of a final upload in flight. Idempotent. Raises TempVolumeError, DependencyUnavailable."""
    if upload.status in ENDED:
        return
    journal = await cell.journals.read(upload.upload_id)
    if journal is None or not journal.completed:
        await cell.record.joined(upload, await cell.segments.stored(upload))


async def journal_final_of(cell: CellState, part: Upload) -> None:
    """The same for the final upload to which a partial upload belongs; nothing where its record has expired."""
    if part.joined_to is None:
        return
    try:
        final = await cell.uploads.get(part.joined_to)
    except RequestError:
        return
    await journal_final(cell, final)
