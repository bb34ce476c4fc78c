"""`ports.access.ApiKeyRepository` on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from pipeline.access.key_ring import KeyRing, new_key
from pipeline.adapters.postgres.api_keys import PostgresApiKeys
from pipeline.adapters.postgres.pool import LazyPool
from pipeline.core.access import Scope
from pipeline.core.errors import AccessError, DependencyUnavailable
from tests.harness.cell import eventually

pytestmark = pytest.mark.contract

BOTH = frozenset({Scope.UPLOAD, Scope.READ})


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[LazyPool]:
    pool = LazyPool(database_url, 4)
    yield pool
    pool.terminate()


@pytest.fixture
def keys(pool: LazyPool) -> PostgresApiKeys:
    return PostgresApiKeys(pool)


async def test_a_key_is_kept_without_its_secret(keys: PostgresApiKeys, direct_url: str) -> None:
    key_id, text, digest = new_key()
    until = datetime.now(UTC) + timedelta(days=1)
    made = await keys.add(key_id, "alice", BOTH, "for the site", digest, until)
    assert (made.key_id, made.owner, made.scopes, made.note, made.expires_at) == (
        *(key_id, "alice", BOTH, "for the site"),
        until,
    )
    assert made.revoked_at is None
    connection = await asyncpg.connect(direct_url)
    try:
        row = await connection.fetchrow("SELECT api_keys::text AS everything FROM api_keys WHERE key_id = $1", key_id)
    finally:
        await connection.close()
    assert row is not None
    assert text.split("_", 2)[2] not in row["everything"]
    assert digest.hex() in row["everything"]


async def test_keys_are_listed_by_owner_oldest_first(keys: PostgresApiKeys) -> None:
    made = [(await keys.add(new_key()[0], owner, BOTH, "", b"d" * 32, None)).key_id for owner in ("zoe", "yan", "zoe")]
    assert [key.key_id for key in await keys.all("zoe")] == [made[0], made[2]]
    assert {key.key_id for key in await keys.all()} >= set(made)


async def test_the_first_revocation_counts(keys: PostgresApiKeys) -> None:
    key_id = (await keys.add(new_key()[0], "alice", BOTH, "", b"d" * 32, None)).key_id
    first, second = await keys.revoke(key_id), await keys.revoke(key_id)
    assert first is not None
    assert first.revoked_at is not None
    assert second == first
    assert await keys.revoke("0" * 16) is None


async def test_changes_are_found_by_their_time(keys: PostgresApiKeys) -> None:
    old = await keys.add(new_key()[0], "alice", BOTH, "", b"d" * 32, None)
    new = await keys.add(new_key()[0], "alice", BOTH, "", b"d" * 32, None)
    assert {key.key_id for key in await keys.changed_since(None)} >= {old.key_id, new.key_id}
    assert old.key_id not in {key.key_id for key in await keys.changed_since(new.changed_at)}
    revoked = await keys.revoke(old.key_id)
    assert revoked is not None
    assert old.key_id in {key.key_id for key in await keys.changed_since(revoked.changed_at)}


async def test_a_ring_knows_keys_and_revocations_of_other_processes(keys: PostgresApiKeys) -> None:
    ring = KeyRing(keys)
    key_id, text, digest = new_key()
    with pytest.raises(AccessError):
        await ring.caller(text)
    await keys.add(key_id, "alice", BOTH, "", digest, None)
    assert (await ring.caller(text)).owner == "alice", "at once, although an unknown key has just been looked for"
    await keys.revoke(key_id)

    async def refused() -> bool:
        try:
            await ring.caller(text)
        except AccessError:
            return True
        return False

    await eventually(refused, 10, lambda: "a revoked key to be refused")
    await ring.aclose()


async def test_without_a_database_a_key_that_is_not_known_is_no_wrong_key() -> None:
    pool = LazyPool("postgresql://nobody@127.0.0.1:9/nothing", 1)
    ring = KeyRing(PostgresApiKeys(pool))
    with pytest.raises(DependencyUnavailable) as error:
        await ring.caller(new_key()[1])
    assert error.value.code == "DATABASE_UNAVAILABLE"
    pool.terminate()
