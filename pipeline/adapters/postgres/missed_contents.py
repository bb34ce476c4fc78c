"""Events of contents that a webhook was never sent, made again from the rows: for a webhook that came later.

Guarantee: each event has the id that it had, or would have had, so a receiver recognises one that it knows. It is
queued for one webhook alone, before the deletion of its content can be, and only where the webhook has no delivery of
it: what is repeated, or was interrupted, continues. Two requests at once queue an event twice at most.
"""

from __future__ import annotations

from uuid import UUID

import asyncpg

from pipeline.adapters.postgres.content_events import ready_event
from pipeline.adapters.postgres.pool import LazyPool, query
from pipeline.adapters.postgres.rows import content_of, storable_text
from pipeline.core.webhooks import EventType, event_id
from schemas.webhooks import WebhookReplay, WebhookReplayed

_BATCH = 100
"""Of one transaction, which keeps its contents from being deleted, and its bodies in memory."""
_COPYING_SECONDS = 60.0
"""By then a notify worker has copied what Redis had recorded of an upload before it became a content."""


async def replay_missed(pool: LazyPool, webhook: UUID, wanted: WebhookReplay, limit: int) -> WebhookReplayed:
    """Queue up to `limit` events of contents that match. Raises DependencyUnavailable."""
    queued, last = 0, None
    while True:
        size = min(_BATCH, limit - queued)
        async with pool.connection() as connection:
            # One more than needed tells whether there are more.
            rows = await connection.fetch(
                query("webhook_missed"),
                size + 1,
                webhook,
                *((None, None) if last is None else (last["created_at"], last["id"])),
                wanted.owner,
                None if wanted.upload_id is None else UUID(wanted.upload_id),
                wanted.since,
                wanted.until,
                _COPYING_SECONDS,
            )
            await _queue(connection, webhook, rows[:size])
        queued += len(rows[:size])
        if len(rows) <= size or size == 0:
            return WebhookReplayed(queued=queued, more=len(rows) > size)
        last = rows[size - 1]


async def _queue(connection: asyncpg.pool.PoolConnectionProxy, webhook: UUID, rows: list[asyncpg.Record]) -> None:
    contents = [content_of(row) for row in rows]
    await connection.execute(
        query("webhook_add_missed"),
        webhook,
        str(EventType.READY),
        [event_id(EventType.READY, content.id) for content in contents],
        [content.owner for content in contents],
        [row["id"] for row in rows],
        [storable_text(ready_event(content).body()) for content in contents],
        [content.created_at for content in contents],
    )
