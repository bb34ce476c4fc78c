"""Invalidating a segment whose bytes have changed on the temp volume, or are not those that its client meant: it has to
be sent again."""

from __future__ import annotations

from pipeline.uploads.cell import CellState


async def invalidate_segment(
    cell: CellState, upload_id: str, number: int, crc32c: int, *, wrong_digest: bool = False
) -> None:
    """Segment `number` no longer matches the crc32c computed on receipt or, with `wrong_digest`, its bytes are not
    those whose MD5 its client has announced. Renews the reservation first, since the client needs time to send the
    segment: it may have lapsed while nothing was expected of the client. Idempotent; a segment that was sent again
    meanwhile is left alone."""
    await cell.ledger.renew(upload_id)
    await cell.record.segment_invalid(upload_id, number, crc32c, wrong_digest=wrong_digest)
