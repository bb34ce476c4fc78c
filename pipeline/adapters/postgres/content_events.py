"""Events of contents, recorded in the transaction that makes, changes or deletes the content.

Guarantee: a webhook that exists when the transaction begins is notified if and only if the transaction is committed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from pipeline.adapters.postgres.pool import query
from pipeline.adapters.postgres.rows import storable_text
from pipeline.core.model import ContentRecord
from pipeline.core.webhooks import EventType, event_id
from schemas.content import Content
from schemas.deletions import PendingDeletion
from schemas.webhooks import ContentFacts, DeletionFacts, WebhookEvent


async def record_ready(connection: asyncpg.pool.PoolConnectionProxy, content: Content, record: ContentRecord) -> None:
    """`content.ready`: released by the notify workers of its volume, after what Redis has recorded of the upload."""
    facts = ContentFacts(upload_id=content.id, owner=content.owner, content=content)
    await _record(connection, EventType.READY, facts, content.created_at, record.volume, record.traceparent)


async def record_changed(connection: asyncpg.pool.PoolConnectionProxy, content: Content, replay_id: str) -> None:
    """`content.changed`, once for each replay: released after `content.ready`."""
    facts = ContentFacts(upload_id=content.id, owner=content.owner, content=content)
    await _record(connection, EventType.CHANGED, facts, datetime.now(UTC), cause_id=replay_id)


async def record_deleted(connection: asyncpg.pool.PoolConnectionProxy, deletion: PendingDeletion) -> None:
    """`content.deleted`: released after `content.ready`."""
    facts = DeletionFacts(
        upload_id=deletion.content_id,
        owner=deletion.owner,
        content_type=deletion.content_type,
        size_bytes=deletion.object.size_bytes,
    )
    await _record(connection, EventType.DELETED, facts, deletion.deleted_at)


async def _record(
    connection: asyncpg.pool.PoolConnectionProxy,
    kind: EventType,
    facts: ContentFacts | DeletionFacts,
    at: datetime,
    volume: str | None = None,
    traceparent: str | None = None,
    *,
    cause_id: str = "",
) -> None:
    event = WebhookEvent(type=kind, timestamp=at, data=facts.model_dump(mode="json"), traceparent=traceparent)
    await connection.execute(
        query("webhook_add_event"),
        event_id(kind, facts.upload_id, cause_id),
        str(kind),
        facts.owner,
        UUID(facts.upload_id),
        volume,
        storable_text(event.body()),
        at,
        event_id(EventType.READY, facts.upload_id),
    )
