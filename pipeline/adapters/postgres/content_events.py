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
    await _record(connection, ready_event(content, record.traceparent), content.id, content.owner, record.volume)


def ready_event(content: Content, traceparent: str | None = None) -> WebhookEvent:
    """`content.ready` of a content: the same each time, except for the trace of its upload."""
    facts = ContentFacts(upload_id=content.id, owner=content.owner, content=content)
    return _event(EventType.READY, facts, content.created_at, traceparent)


async def record_changed(connection: asyncpg.pool.PoolConnectionProxy, content: Content, replay_id: str) -> None:
    """`content.changed`, once for each replay: released after `content.ready`."""
    facts = ContentFacts(upload_id=content.id, owner=content.owner, content=content)
    event = _event(EventType.CHANGED, facts, datetime.now(UTC))
    await _record(connection, event, content.id, content.owner, cause_id=replay_id)


async def record_deleted(connection: asyncpg.pool.PoolConnectionProxy, deletion: PendingDeletion) -> None:
    """`content.deleted`: released after `content.ready`."""
    facts = DeletionFacts(
        upload_id=deletion.content_id,
        owner=deletion.owner,
        content_type=deletion.content_type,
        size_bytes=deletion.object.size_bytes,
    )
    event = _event(EventType.DELETED, facts, deletion.deleted_at)
    await _record(connection, event, deletion.content_id, deletion.owner)


def _event(
    kind: EventType, facts: ContentFacts | DeletionFacts, at: datetime, traceparent: str | None = None
) -> WebhookEvent:
    return WebhookEvent(type=kind, timestamp=at, data=facts.model_dump(mode="json"), traceparent=traceparent)


async def _record(
    connection: asyncpg.pool.PoolConnectionProxy,
    event: WebhookEvent,
    content_id: str,
    owner: str,
    volume: str | None = None,
    *,
    cause_id: str = "",
) -> None:
    await connection.execute(
        query("webhook_add_event"),
        event_id(EventType(event.type), content_id, cause_id),
        event.type,
        owner,
        UUID(content_id),
        volume,
        storable_text(event.body()),
        event.timestamp,
        event_id(EventType.READY, content_id),
    )
