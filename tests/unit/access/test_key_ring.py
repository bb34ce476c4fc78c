"""The ring of API keys: revocations, new keys, strangers, and an unavailable database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.access.key_ring import KeyRing, new_key
from pipeline.core.access import Scope
from pipeline.core.errors import DependencyUnavailable, SluiceError
from pipeline.ports.access import ApiKey

pytestmark = pytest.mark.unit


class _Keys:
    """The table, with a count of reads, an outage, and reads that are held after they have found something."""

    def __init__(self) -> None:
        self.rows: dict[str, ApiKey] = {}
        self.reads: list[datetime | None] = []
        self.away = False
        self.found = asyncio.Event()
        self.answer = asyncio.Event()
        self.answer.set()

    def add(self, *scopes: Scope, owner: str = "alice", expires: timedelta | None = None) -> tuple[str, str]:
        key_id, text, digest = new_key()
        now = datetime.now(UTC)
        until = None if expires is None else now + expires
        self.rows[key_id] = ApiKey(key_id, owner, frozenset(scopes), "", digest, now, now, until)
        return key_id, text

    def revoke(self, key_id: str) -> None:
        now = datetime.now(UTC)
        self.rows[key_id] = replace(self.rows[key_id], revoked_at=now, changed_at=now)

    async def changed_since(self, moment: datetime | None) -> Sequence[ApiKey]:
        self.reads.append(moment)
        if self.away:
            raise DependencyUnavailable("DATABASE_UNAVAILABLE", reason="away")
        rows = [row for row in self.rows.values() if moment is None or row.changed_at >= moment]
        self.found.set()
        await self.answer.wait()
        return rows


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.now += seconds


@pytest.fixture
def keys() -> _Keys:
    return _Keys()


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def ring(keys: _Keys, clock: _Clock) -> KeyRing:
    return KeyRing(keys, clock, clock.sleep)


async def refused(ring: KeyRing, text: str) -> str:
    with pytest.raises(SluiceError) as error:
        await ring.caller(text)
    return error.value.code


async def test_a_key_names_its_owner_and_scopes(ring: KeyRing, keys: _Keys) -> None:
    key_id, text = keys.add(Scope.UPLOAD, Scope.READ)
    caller = await ring.caller(text)
    assert (caller.owner, caller.scopes) == ("alice", frozenset({Scope.UPLOAD, Scope.READ}))
    assert (caller.credential, caller.expires_at) == (f"key:{key_id}", None)
    assert text not in repr(caller)
    assert text.split("_", 2)[2] not in repr(keys.rows[key_id])


@pytest.mark.parametrize("later", [0.0, 0.1, 0.3])
async def test_a_new_key_works_at_once(ring: KeyRing, keys: _Keys, clock: _Clock, later: float) -> None:
    _, first = keys.add(Scope.READ)
    await ring.caller(first)
    clock.now += later
    assert await refused(ring, new_key()[1]) == "CREDENTIAL_INVALID"
    clock.now += later
    _, second = keys.add(Scope.READ)
    assert (await ring.caller(second)).owner == "alice"


async def test_a_key_that_is_made_during_a_read_works_at_once(ring: KeyRing, keys: _Keys, clock: _Clock) -> None:
    keys.answer.clear()
    stranger = asyncio.create_task(refused(ring, new_key()[1]))
    await keys.found.wait()
    _, text = keys.add(Scope.READ)
    clock.now += 0.1
    caller = asyncio.create_task(ring.caller(text))
    keys.answer.set()
    assert await stranger == "CREDENTIAL_INVALID"
    assert (await caller).owner == "alice"
    assert len(keys.reads) == 2


async def test_a_revoked_key_is_refused_after_five_seconds_at_the_latest(
    ring: KeyRing, keys: _Keys, clock: _Clock
) -> None:
    key_id, text = keys.add(Scope.READ)
    await ring.caller(text)
    keys.revoke(key_id)
    clock.now += 5.0
    assert await refused(ring, text) == "CREDENTIAL_INVALID"
    assert not await ring.is_valid(key_id)


async def test_strangers_cause_few_reads(ring: KeyRing, keys: _Keys, clock: _Clock) -> None:
    keys.add(Scope.READ)
    strangers = []
    for _ in range(1000):
        clock.now += 0.001
        strangers.append(asyncio.create_task(refused(ring, new_key()[1])))
        await asyncio.sleep(0)
    assert set(await asyncio.gather(*strangers)) == {"CREDENTIAL_INVALID"}
    assert len(keys.reads) <= 4 * clock.now + 1
    assert keys.reads[0] is None
    assert None not in keys.reads[1:], "only changes are read"


async def test_many_requests_at_once_share_a_read(ring: KeyRing, keys: _Keys) -> None:
    _, text = keys.add(Scope.READ)
    callers = await asyncio.gather(*(ring.caller(text) for _ in range(100)))
    assert len({caller.credential for caller in callers}) == 1
    assert len(keys.reads) == 1


async def test_a_secret_of_another_key(ring: KeyRing, keys: _Keys) -> None:
    key_id, text = keys.add(Scope.READ)
    _, other = keys.add(Scope.READ)
    assert await refused(ring, f"sluice_{key_id}_{other.rpartition('_')[2] or other[-43:]}") == "CREDENTIAL_INVALID"
    for wrong in (text[:-1], text + "A", text.upper(), f"{text} ", f"sluice_{key_id}_", "sluice_"):
        assert await refused(ring, wrong) == "CREDENTIAL_INVALID"


async def test_a_key_expires(ring: KeyRing, keys: _Keys) -> None:
    _, text = keys.add(Scope.READ, expires=timedelta(seconds=-1))
    assert await refused(ring, text) == "CREDENTIAL_EXPIRED"


async def test_known_keys_outlive_an_outage_of_the_database_for_an_hour(
    ring: KeyRing, keys: _Keys, clock: _Clock
) -> None:
    _, text = keys.add(Scope.READ)
    await ring.caller(text)
    keys.away = True
    for _ in range(100):
        clock.now += 30.0
        assert (await ring.caller(text)).owner == "alice"
    _, unknown = keys.add(Scope.READ)
    assert await refused(ring, unknown) == "DATABASE_UNAVAILABLE"
    clock.now += 700.0
    assert await refused(ring, text) == "DATABASE_UNAVAILABLE"
    keys.away = False
    clock.now += 3.0
    assert (await ring.caller(text)).owner == "alice"
    assert (await ring.caller(unknown)).owner == "alice"


async def test_an_outage_at_the_beginning(ring: KeyRing, keys: _Keys, clock: _Clock) -> None:
    _, text = keys.add(Scope.READ)
    keys.away = True
    assert await refused(ring, text) == "DATABASE_UNAVAILABLE"
    keys.away = False
    clock.now += 0.3
    assert (await ring.caller(text)).owner == "alice"
