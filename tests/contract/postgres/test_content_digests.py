"""The CRC-32Cs of contents and segments in PostgreSQL."""

from __future__ import annotations

from dataclasses import replace

import asyncpg
import pytest

from pipeline.adapters.postgres.contents import PostgresContentRepository
from tests.contract.postgres.test_contents import new_record

pytestmark = pytest.mark.contract


async def test_the_crc32c_of_a_content_and_of_its_segments(contents: PostgresContentRepository) -> None:
    """Every value of 32 bits fits, and null is not 0."""
    record = new_record()
    segments = tuple(
        replace(segment, crc32c=crc32c)
        for segment, crc32c in zip(record.stored.segments, (0, 0xFFFFFFFF, None), strict=True)
    )
    saved = await contents.save(replace(record, stored=replace(record.stored, segments=segments, crc32c=0xE3069283)))
    assert saved.repr_digest == "crc32c=:4waSgw==:"
    assert (await contents.get(record.content_id, None)).repr_digest == saved.repr_digest
    assert [segment.crc32c for segment in await contents.segments(record.content_id)] == [0, 0xFFFFFFFF, None]


async def test_a_content_of_a_release_that_knows_no_crc32c(
    contents: PostgresContentRepository, database: asyncpg.Connection
) -> None:
    """Its workers write rows without the columns, also after the migration."""
    record = new_record()
    await contents.save(record)
    await database.execute("DELETE FROM content_segments WHERE content_id = $1", record.content_id)
    await database.execute(
        "INSERT INTO content_segments (content_id, number, size_bytes, etag, stored_as, stored_number)"
        " SELECT $1, * FROM unnest($2::integer[], $3::bigint[], $4::text[], $5::uuid[], $6::integer[])",
        record.content_id,
        [1],
        [25],
        ["e"],
        [None],
        [None],
    )
    assert (await contents.get(record.content_id, None)).repr_digest is None
    assert [segment.crc32c for segment in await contents.segments(record.content_id)] == [None]
