"""Webhooks and events for the tests of the outbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
from uuid6 import uuid7

from pipeline.adapters.postgres.contents import PostgresContentRepository
from pipeline.adapters.postgres.deletions import PostgresDeletionRepository
from pipeline.adapters.postgres.webhooks import PostgresOutbox, PostgresWebhooks
from pipeline.core.webhooks import EventType, event_id
from pipeline.ports.webhooks import ClaimedDelivery, NewEvent, NewWebhook

LIMIT = 16


@dataclass
class Scene:
    """The repositories of one database. `database`: for the test's own statements."""

    contents: PostgresContentRepository
    deletions: PostgresDeletionRepository
    webhooks: PostgresWebhooks
    outbox: PostgresOutbox
    database: asyncpg.Connection

    async def subscribe(self, owner: str | None = None, events: Sequence[str] = (), limit: int = LIMIT) -> str:
        new = NewWebhook(str(uuid4()), owner, "https://a.example/events", events, "note", "whsec_c2VjcmV0")
        return (await self.webhooks.add(new, limit)).id

    async def claim(
        self, limit: int = 100, each: int = 100, lease_seconds: float = 60, busy: Sequence[str] = ()
    ) -> list[ClaimedDelivery]:
        return list(await self.outbox.claim(limit, lease_seconds, busy, each))

    async def delivered(self, *claimed: ClaimedDelivery) -> None:
        for delivery in claimed:
            await self.outbox.delivered(delivery.delivery_id, 204)

    async def all_due(self) -> None:
        """Claims and delays end now."""
        await self.database.execute("UPDATE webhook_deliveries SET due_at = now() - interval '1 s'")
        await self.database.execute("UPDATE webhooks SET retry_at = now() - interval '1 s' WHERE retry_at IS NOT NULL")


def new_event(kind: EventType = EventType.ADMITTED, upload_id: str | None = None, owner: str = "default") -> NewEvent:
    upload_id = upload_id or str(uuid7())
    return NewEvent(event_id(kind, upload_id), kind, owner, upload_id, datetime.now(UTC), f'{{"type":"{kind}"}}')


def types(claimed: Sequence[ClaimedDelivery]) -> list[str]:
    return [delivery.type for delivery in claimed]
