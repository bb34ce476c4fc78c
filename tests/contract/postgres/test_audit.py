"""`ports.ContentAudit` on a real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace

import pytest
from uuid6 import uuid7

from pipeline.adapters.postgres.audit import PostgresContentAudit
from pipeline.adapters.postgres.contents import PostgresContentRepository
from pipeline.adapters.postgres.deletions import PostgresDeletionRepository
from pipeline.core.stored_objects import Place
from tests.contract.postgres.test_contents import new_record

pytestmark = pytest.mark.contract


@pytest.fixture
def audit(contents: PostgresContentRepository) -> PostgresContentAudit:
    return PostgresContentAudit(contents.pool)


async def test_a_sample(contents: PostgresContentRepository, audit: PostgresContentAudit) -> None:
    saved = {(await contents.save(new_record())).id for _ in range(5)}
    assert saved <= set(await audit.sample(1_000_000))
    assert len(set(await audit.sample(3))) == 3


async def test_what_is_claimed(contents: PostgresContentRepository, audit: PostgresContentAudit) -> None:
    """A content, then its pending deletion, until that is finished. No other id, however it is written."""
    name = (await contents.save(new_record())).id
    other = str(uuid7())
    deletions = PostgresDeletionRepository(contents.pool)
    assert set(await audit.claimed([name, name.upper(), other])) == {name, name.upper()}
    await deletions.begin(name, 60, None)
    assert set(await audit.claimed([name, other])) == {name}
    await deletions.finish(name)
    assert set(await audit.claimed([name, other])) == set()
    assert set(await audit.claimed([])) == set()


async def test_the_parts_of_a_joined_content(contents: PostgresContentRepository, audit: PostgresContentAudit) -> None:
    part, other = str(uuid7()), str(uuid7())
    record = new_record()
    segments = tuple(replace(segment, place=Place(part, segment.number)) for segment in record.stored.segments)
    await contents.save(replace(record, stored=replace(record.stored, segments=segments)))
    deletions = PostgresDeletionRepository(contents.pool)
    assert set(await audit.claimed_parts([part, other, record.content_id])) == {part}
    assert set(await audit.claimed([part])) == set()
    await deletions.begin(record.content_id, 60, None)
    assert set(await audit.claimed_parts([part, other])) == {part}
    await deletions.finish(record.content_id)
    assert set(await audit.claimed_parts([part, other])) == set()
