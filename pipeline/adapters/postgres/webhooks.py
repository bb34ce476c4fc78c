"""Webhooks and their outbox in PostgreSQL: `ports.webhooks.WebhookRepository` and `Outbox`.

Guarantee: events and deliveries are made in one transaction. A caller that claims a delivery holds it alone until its
lease ends, and it is the earliest pending one of its upload and webhook, however many callers claim at once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from pipeline.adapters.postgres.missed_contents import replay_missed
from pipeline.adapters.postgres.pool import LazyPool, query
from pipeline.adapters.postgres.rows import page_position, storable_text
from pipeline.core.errors import RequestError
from pipeline.core.webhooks import GIVE_UP_SECONDS, AfterFailure, Attempt
from pipeline.ports.webhooks import ClaimedDelivery, NewEvent, NewWebhook, OutboxFigures
from schemas.webhooks import Webhook, WebhookDelivery, WebhookReplay, WebhookReplayed

_ABANDONED_SECONDS = 3600.0
"""After this time any worker releases what the workers of another volume have not: late is better than never."""
_BATCH = 10_000
_COUNTED = 1000
_ERROR_CHARACTERS = 300


class PostgresWebhooks:
    """Implements `WebhookRepository` with a pool that another object owns."""

    def __init__(self, pool: LazyPool) -> None:
        self._pool = pool

    async def add(self, new: NewWebhook, limit: int) -> Webhook:
        async with self._pool.connection() as connection:
            await connection.execute(query("webhook_lock"), new.owner)
            added = await connection.fetchval(
                query("webhook_add"),
                UUID(new.webhook_id),
                new.owner,
                new.url,
                list(new.events),
                new.note,
                new.secret,
                limit,
            )
            if added is None:
                raise RequestError("WEBHOOK_LIMIT", value=limit)
            return await self._one(connection, added, None)

    async def get(self, webhook_id: str, owner: str | None) -> Webhook:
        async with self._pool.connection() as connection:
            return await self._one(connection, _uuid(webhook_id), owner)

    async def page(self, owner: str | None, before: tuple[int, str] | None, limit: int) -> Sequence[Webhook]:
        moment, last = page_position(before)
        async with self._pool.connection() as connection:
            rows = await connection.fetch(query("webhook_page"), owner, moment, last, limit, _COUNTED)
            return [_webhook(row) for row in rows]

    async def change(
        self,
        webhook_id: str,
        owner: str | None,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        note: str | None = None,
        paused: bool | None = None,
    ) -> Webhook:
        given = (url, None if events is None else list(events), note, paused)
        return await self._changed("webhook_change", webhook_id, owner, *given)

    async def rotate(self, webhook_id: str, owner: str | None, secret: str, overlap_seconds: int) -> Webhook:
        return await self._changed("webhook_rotate", webhook_id, owner, secret, float(overlap_seconds))

    async def remove(self, webhook_id: str, owner: str | None) -> None:
        async with self._pool.connection() as connection:
            if await connection.fetchval(query("webhook_remove"), _uuid(webhook_id), owner) is None:
                raise _not_found(webhook_id)

    async def test(self, webhook_id: str, event: NewEvent) -> WebhookDelivery:
        async with self._pool.connection() as connection:
            try:
                (row,) = await connection.fetch(
                    query("webhook_test"),
                    _uuid(webhook_id),
                    event.event_id,
                    event.type,
                    event.owner,
                    UUID(event.upload_id),
                    event.body,
                )
            except asyncpg.ForeignKeyViolationError:  # it was deleted in the meantime
                raise _not_found(webhook_id) from None
            return _delivery(row)

    async def deliveries(
        self, webhook_id: str, state: str | None, before_id: int | None, limit: int
    ) -> Sequence[WebhookDelivery]:
        async with self._pool.connection() as connection:
            rows = await connection.fetch(query("webhook_deliveries"), _uuid(webhook_id), state, before_id, limit)
            return [_delivery(row) for row in rows]

    async def replay(self, webhook_id: str, wanted: WebhookReplay, limit: int) -> WebhookReplayed:
        async with self._pool.connection() as connection:
            (row,) = await connection.fetch(
                query("webhook_replay"),
                _uuid(webhook_id),
                wanted.deliveries,
                wanted.state,
                wanted.events,
                None if wanted.upload_id is None else UUID(wanted.upload_id),
                wanted.since,
                wanted.until,
                limit,
            )
            return WebhookReplayed(queued=row["queued"], more=row["more"])

    async def replay_contents(self, webhook_id: str, wanted: WebhookReplay, limit: int) -> WebhookReplayed:
        return await replay_missed(self._pool, _uuid(webhook_id), wanted, limit)

    async def _changed(self, name: str, webhook_id: str, owner: str | None, *given: Any) -> Webhook:
        async with self._pool.connection() as connection:
            found = await connection.fetchval(query(name), _uuid(webhook_id), owner, *given)
            if found is None:
                raise _not_found(webhook_id)
            return await self._one(connection, found, owner)

    async def _one(self, connection: asyncpg.pool.PoolConnectionProxy, key: UUID, owner: str | None) -> Webhook:
        row = await connection.fetchrow(query("webhook_get"), key, owner, _COUNTED)
        if row is None:
            raise _not_found(str(key))
        return _webhook(row)


class PostgresOutbox:
    """Implements `Outbox` with a pool that another object owns."""

    def __init__(self, pool: LazyPool) -> None:
        self._pool = pool

    async def held(self, volume: str, limit: int) -> Sequence[str]:
        async with self._pool.connection() as connection:
            rows = await connection.fetch(query("webhook_held"), volume, _ABANDONED_SECONDS, limit)
            return [row["id"] for row in rows]

    async def add(self, events: Sequence[NewEvent]) -> None:
        unique = {event.event_id: event for event in reversed(events)}
        ordered = list(unique.values())[::-1]
        async with self._pool.connection() as connection:
            await connection.execute(
                query("webhook_add_events"),
                [event.event_id for event in ordered],
                [str(event.type) for event in ordered],
                [event.owner for event in ordered],
                [UUID(event.upload_id) for event in ordered],
                [storable_text(event.body) for event in ordered],
                [event.occurred_at for event in ordered],
            )

    async def release(self, event_ids: Sequence[str]) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(query("webhook_release"), list(event_ids))

    async def claim(
        self, limit: int, lease_seconds: float, busy: Collection[str], each: int
    ) -> Sequence[ClaimedDelivery]:
        async with self._pool.connection() as connection:
            rows = await connection.fetch(query("webhook_claim"), limit, lease_seconds, list(map(UUID, busy)), each)
            return [_claimed(row) for row in rows]

    async def delivered(self, delivery_id: int, status: int) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(query("webhook_delivered"), delivery_id, status)

    async def failing(self, webhook_id: str, error: str) -> tuple[int, float]:
        async with self._pool.connection() as connection:
            row = await connection.fetchrow(query("webhook_failing"), UUID(webhook_id), _shortened(error))
            return (0, 0.0) if row is None else (row["failures"], row["failing_seconds"])

    async def failed(self, delivery_id: int, attempt: Attempt, after: AfterFailure) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(
                query("webhook_failed"),
                delivery_id,
                attempt.status,
                _shortened(attempt.error or ""),
                after.retry_seconds,
                after.endpoint_seconds,
                after.pause,
            )

    async def unclaim(self, delivery_ids: Sequence[int]) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(query("webhook_unclaim"), list(delivery_ids))

    async def give_up(self) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(
                query("webhook_give_up"), GIVE_UP_SECONDS, _BATCH, "it was not sent while the webhook was paused"
            )

    async def purge(self, kept_seconds: float) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(query("webhook_purge"), kept_seconds, _BATCH)

    async def figures(self) -> OutboxFigures:
        async with self._pool.connection() as connection:
            (row,) = await connection.fetch(query("webhook_figures"), _BATCH)
            return OutboxFigures(
                row["pending"], row["held"], row["paused"], row["failing"], max(0.0, row["oldest_seconds"] or 0.0)
            )


def _uuid(webhook_id: str) -> UUID:
    try:
        return UUID(webhook_id)
    except ValueError:
        raise _not_found(webhook_id) from None


def _not_found(webhook_id: str) -> RequestError:
    return RequestError("WEBHOOK_NOT_FOUND", webhook_id=webhook_id)


def _shortened(text: str) -> str:
    return storable_text(text)[:_ERROR_CHARACTERS]


def _claimed(row: asyncpg.Record) -> ClaimedDelivery:
    return ClaimedDelivery(
        delivery_id=row["id"],
        webhook_id=str(row["webhook_id"]),
        event_id=row["event_id"],
        type=row["type"],
        body=row["body"],
        url=row["url"],
        secrets=[secret for secret in (row["secret"], row["previous_secret"]) if secret],
        attempts=row["attempts"],
        age_seconds=row["age_seconds"],
    )


def _webhook(row: asyncpg.Record) -> Webhook:
    paused = row["paused_at"] is not None
    return Webhook(
        id=str(row["id"]),
        owner=row["owner"],
        url=row["url"],
        events=row["events"],
        note=row["note"],
        created_at=row["created_at"],
        state="paused" if paused else "failing" if row["failures"] else "active",
        pause_reason=row["pause_reason"] if paused else None,
        failures=row["failures"],
        failing_since=row["failing_since"],
        last_error=row["last_error"] if row["failures"] else None,
        last_success_at=row["last_success_at"],
        pending=row["pending"],
        previous_secret_until=row["overlap_until"],
    )


def _delivery(row: asyncpg.Record) -> WebhookDelivery:
    pending = row["state"] == "pending"
    return WebhookDelivery(
        id=row["id"],
        event_id=row["event_id"],
        type=row["type"],
        upload_id=str(row["upload_id"]),
        state=row["state"],
        attempts=row["attempts"],
        created_at=row["created_at"],
        due_at=row["due_at"] if pending else None,
        finished_at=row["finished_at"],
        status=row["last_status"],
        error=row["last_error"],
    )
