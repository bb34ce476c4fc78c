"""Replays in PostgreSQL: `ports.replays.ReplayRepository`.

Guarantee: a content is given to one runner at a time, and counted once, whichever runner dies at which point. Each
transaction locks the replay's row first, so that the rate and the counts hold for all runners together. Columns of a
content are written only in the transaction that records the outcome, and only for the runner whose claim it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import asyncpg
from pydantic import ValidationError
from uuid6 import uuid7

from pipeline.adapters.postgres.content_events import record_changed
from pipeline.adapters.postgres.content_list import conditions_of
from pipeline.adapters.postgres.pool import LazyPool, query
from pipeline.adapters.postgres.rows import content_of, storable_text
from pipeline.core.errors import RequestError, SluiceError, StageLost
from pipeline.ports.replays import ColumnValue, NothingYet, ReplayClaim
from schemas.replays import Replay, ReplayFailure, ReplayFilters, ReplayMatch, ReplayOutcome

_COUNTED = 1_000_000
"""To count more costs more than the figure is worth."""
_LEAST_WAIT_SECONDS = 0.05
_REASON_CHARACTERS = 512
_COLUMN = re.compile(r"[a-z][a-z0-9_]*")
_FIXED = frozenset({"id", "owner", "created_at", "filename", "size_bytes", "store", "container", "object_key", "etag"})
"""Columns that say what a content is. No stage changes them."""


class PostgresReplays:
    """Uses a pool that another object owns."""

    def __init__(self, pool: LazyPool) -> None:
        self._pool = pool

    async def match(self, filters: ReplayFilters) -> ReplayMatch:
        async with self._pool.connection() as connection:
            return await _match(connection, filters)

    async def create(self, stage: str, filters: ReplayFilters, rate: float | None) -> Replay:
        replay_id = uuid7()
        text = filters.model_dump_json(exclude_defaults=True)
        async with self._pool.connection() as connection:
            found = await _match(connection, filters)
            await connection.execute(query("replay_add"), replay_id, stage, text, found.contents, rate)
            return await _get(connection, replay_id)

    async def get(self, replay_id: str) -> Replay:
        async with self._pool.connection() as connection:
            return await _get(connection, _uuid(replay_id))

    async def newest(self, limit: int) -> Sequence[Replay]:
        async with self._pool.connection() as connection:
            return [_replay(row) for row in await connection.fetch(query("replay_page"), None, limit)]

    async def failures(self, replay_id: str, limit: int) -> Sequence[ReplayFailure]:
        async with self._pool.connection() as connection:
            await _get(connection, _uuid(replay_id))
            rows = await connection.fetch(query("replay_failures"), _uuid(replay_id), limit)
        return [
            ReplayFailure(content_id=str(row["content_id"]), code=row["code"], reason=row["reason"]) for row in rows
        ]

    async def stop(self, replay_id: str) -> Replay:
        async with self._pool.connection() as connection:
            await connection.execute(query("replay_stop"), _uuid(replay_id))
            return await _get(connection, _uuid(replay_id))

    async def resume(self, replay_id: str, rate: float | None, *, failed: bool) -> Replay:
        key = _uuid(replay_id)
        async with self._pool.connection() as connection:
            await _lock(connection, key)
            await connection.execute(query("replay_resume"), key, rate)
            if failed:
                await connection.execute(query("replay_retry"), key)
            return await _get(connection, key)

    async def claim(self, replay_id: str, lease_seconds: float) -> ReplayClaim | NothingYet | None:
        key = _uuid(replay_id)
        async with self._pool.connection() as connection:
            replay = await _lock(connection, key)
            if replay["state"] != "running":
                return None
            if replay["wait_seconds"] > 0:
                return NothingYet(replay["wait_seconds"])
            row = await connection.fetchrow(query("replay_take_over"), key, lease_seconds)
            if row is not None:
                await connection.execute(query("replay_advance"), key, None, None)
                return ReplayClaim(replay_id, str(row["content_id"]), row["runs"], row["outcome"])
            found = await _next(connection, replay)
            if found is None:
                seconds = await connection.fetchval(query("replay_end"), key)
                return None if seconds is None else NothingYet(max(_LEAST_WAIT_SECONDS, seconds))
            await connection.execute(query("replay_take"), key, found["id"], lease_seconds)
            await connection.execute(query("replay_advance"), key, found["created_at"], found["id"])
            return ReplayClaim(replay_id, str(found["id"]), 1)

    async def renew(self, claims: Collection[ReplayClaim], lease_seconds: float) -> None:
        async with self._pool.connection() as connection:
            for replay_id in {claim.replay_id for claim in claims}:
                mine = [claim for claim in claims if claim.replay_id == replay_id]
                await _lock(connection, _uuid(replay_id))
                ids, runs = [UUID(claim.content_id) for claim in mine], [claim.run for claim in mine]
                await connection.execute(query("replay_renew"), UUID(replay_id), ids, runs, lease_seconds)

    async def release(self, claim: ReplayClaim) -> None:
        await self._change("replay_release", claim)

    async def announce(self, claim: ReplayClaim, store: str, keys: Collection[str]) -> None:
        async with self._pool.connection() as connection:
            await _held(connection, claim)
            await connection.execute(query("replay_announce"), *_of(claim), store, list(keys))

    async def apply(
        self, claim: ReplayClaim, columns: Mapping[str, ColumnValue], replaced: str | None = None
    ) -> ReplayOutcome:
        content_id, writing = UUID(claim.content_id), _writing(columns) if columns else ""
        async with self._pool.connection() as connection:
            held = await _held(connection, claim)
            if held["outcome"] is not None:
                return cast(ReplayOutcome, held["outcome"])
            content = await connection.fetchrow(query("replay_thumbnail"), content_id)
            outcome: ReplayOutcome = "unchanged"
            if content is None:
                outcome = "skipped"
            elif "thumbnail" in columns and content["key"] != replaced:
                raise _lost(claim)
            elif writing and await connection.fetchval(writing, content_id, *columns.values()):
                outcome = "changed"
                (row,) = await connection.fetch(query("get_content"), content_id, None)
                await record_changed(connection, content_of(row), claim.replay_id)
            await connection.execute(query("replay_outcome"), *_of(claim), outcome)
            if not held["keys"]:
                await connection.execute(query("replay_finish"), *_of(claim), outcome)
            return outcome

    async def obsolete(self, claim: ReplayClaim) -> tuple[str, Sequence[str]]:
        async with self._pool.connection() as connection:
            row = await connection.fetchrow(query("replay_obsolete"), *_of(claim))
            return ("", ()) if row is None else (row["store"], row["keys"])

    async def finish(self, claim: ReplayClaim, outcome: ReplayOutcome) -> None:
        await self._change("replay_finish", claim, outcome)

    async def fail(self, claim: ReplayClaim, error: SluiceError) -> None:
        await self._change("replay_fail", claim, error.code, storable_text(error.message)[:_REASON_CHARACTERS])

    async def _change(self, name: str, claim: ReplayClaim, *arguments: str) -> None:
        async with self._pool.connection() as connection:
            await _lock(connection, _uuid(claim.replay_id))
            await connection.execute(query(name), *_of(claim), *arguments)


def _uuid(replay_id: str) -> UUID:
    """Raises RequestError REPLAY_NOT_FOUND for text that is not a UUID, because no replay has such an id."""
    try:
        return UUID(replay_id)
    except ValueError:
        raise RequestError("REPLAY_NOT_FOUND", replay_id=replay_id) from None


def _of(claim: ReplayClaim) -> tuple[UUID, UUID, int]:
    return UUID(claim.replay_id), UUID(claim.content_id), claim.run


def _lost(claim: ReplayClaim) -> StageLost:
    return StageLost("STAGE_LOST", stage="replay", upload_id=claim.content_id)


async def _lock(connection: asyncpg.pool.PoolConnectionProxy, replay_id: UUID) -> asyncpg.Record:
    row = await connection.fetchrow(query("replay_lock"), replay_id)
    if row is None:
        raise RequestError("REPLAY_NOT_FOUND", replay_id=str(replay_id))
    return row


async def _held(connection: asyncpg.pool.PoolConnectionProxy, claim: ReplayClaim) -> asyncpg.Record:
    """What is recorded of a claim. Raises StageLost unless it is the caller's, until the end of the transaction."""
    await _lock(connection, _uuid(claim.replay_id))
    row = await connection.fetchrow(query("replay_held"), *_of(claim))
    if row is None:
        raise _lost(claim)
    return row


async def _get(connection: asyncpg.pool.PoolConnectionProxy, replay_id: UUID) -> Replay:
    row = await connection.fetchrow(query("replay_page"), replay_id, 1)
    if row is None:
        raise RequestError("REPLAY_NOT_FOUND", replay_id=str(replay_id))
    return _replay(row)


async def _match(connection: asyncpg.pool.PoolConnectionProxy, filters: ReplayFilters) -> ReplayMatch:
    conditions, arguments = _conditions(filters)
    text = query("replay_count").format(conditions=" AND ".join(conditions) or "true")
    (row,) = await connection.fetch(text, _COUNTED, *arguments)
    return ReplayMatch(contents=row["contents"], size_bytes=row["size_bytes"])


async def _next(connection: asyncpg.pool.PoolConnectionProxy, replay: asyncpg.Record) -> asyncpg.Record | None:
    """The next content after the cursor that existed when the replay was created."""
    conditions, arguments = _conditions(_filters(replay))
    arguments.append(replay["created_at"])
    conditions.append(f"c.created_at <= ${1 + len(arguments)}")
    if replay["cursor_id"] is not None:
        arguments += [replay["cursor_at"], replay["cursor_id"]]
        conditions.append(f"(c.created_at, c.id) > (${len(arguments)}, ${1 + len(arguments)})")
    return await connection.fetchrow(query("replay_next").format(conditions=" AND ".join(conditions)), 1, *arguments)


def _conditions(filters: ReplayFilters) -> tuple[list[str], list[Any]]:
    """Conditions, and their arguments from $2. What an operator gives is only ever an argument."""
    arguments: list[Any] = []

    def argument(value: Any) -> str:
        arguments.append(value)
        return f"${1 + len(arguments)}"

    conditions = conditions_of(filters, argument)
    if filters.ids:
        conditions.append(f"c.id = ANY({argument(filters.ids)})")
    if filters.store is not None:
        conditions.append(f"c.store = {argument(filters.store)}")
    if filters.thumbnail is not None:
        conditions.append(f"c.thumbnail IS {'NOT NULL' if filters.thumbnail else 'NULL'}")
    return conditions, arguments


def _filters(replay: asyncpg.Record) -> ReplayFilters:
    try:
        return ReplayFilters.model_validate_json(replay["filters"])
    except ValidationError as error:
        reason = "; ".join(".".join(map(str, item["loc"])) for item in error.errors(include_url=False))
        raise RequestError("REPLAY_OF_NEWER_RELEASE", reason=reason) from error


def _writing(columns: Mapping[str, ColumnValue]) -> str:
    """The statement that writes these columns; their values are its arguments from $2. Raises ValueError for a column
    that no stage may change."""
    for name in columns:
        if not _COLUMN.fullmatch(name) or name in _FIXED:
            raise ValueError(f"a replay cannot change the column {name!r}")
    numbered = [(name, f"${number}") for number, name in enumerate(columns, 2)]
    return query("replay_write").format(
        assignments=", ".join(f"{name} = {value}" for name, value in numbered),
        differences=" OR ".join(f"{name} IS DISTINCT FROM {value}" for name, value in numbered),
    )


def _replay(row: asyncpg.Record) -> Replay:
    names = ("stage", "state", "rate", "matching", "changed", "unchanged", "skipped", "failed", "in_progress")
    times: dict[str, datetime | None] = {name: row[name] for name in ("created_at", "progress_at", "finished_at")}
    return Replay(
        id=str(row["id"]),
        filters=json.loads(row["filters"]),
        **{name: row[name] for name in names},
        **times,
    )
