"""The counters of owners equal a recount after any sequence of changes: creation, every event, segments, rebuilding,
cleanup and the end of retention."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from pydantic import SecretStr

from pipeline.adapters.redis.reads import hash_all, now_ms
from pipeline.adapters.redis.scripts import Scripts
from pipeline.adapters.redis.upload_board import RedisUploadBoard
from pipeline.bootstrap import RedisParts, redis_parts
from pipeline.core.creation_limits import CreationLimits, CreationRate, OwnerLimits
from pipeline.core.errors import LimitReached, RequestError
from pipeline.core.journal import Journal
from pipeline.core.journal_entries import Ended
from pipeline.core.lifecycle import ENDED, Event, Status
from pipeline.core.model import NewUpload, Upload
from pipeline.core.stored_objects import ObjectVersion, StoredSegment
from pipeline.core.transports import Transport
from pipeline.settings import Settings
from tests.contract.redis.uploads import Play
from tests.harness.new_uploads import new_upload
from tests.harness.redis_versions import RedisServer

pytestmark = pytest.mark.contract

OWNERS = ("ann", "bob|x/y", "c:d")
STEPS = 400
_RETENTION_MS = 3_600_000
LIMITS = CreationLimits(
    12, OwnerLimits(waiting=6, in_flight=8, bytes=500, bytes_per_day=2**40, creations=CreationRate(1e6, 10**6))
)


@pytest.fixture
async def parts(each_redis: RedisServer, redis_namespace: str) -> AsyncIterator[RedisParts]:
    settings = Settings(redis_url=SecretStr(each_redis.url), redis_namespace=redis_namespace)
    async with redis_parts(settings) as opened:
        client, keys = opened.client, opened.keys
        board = RedisUploadBoard(client, Scripts(client, keys.prefix), keys, _RETENTION_MS, limits=LIMITS)
        yield replace(opened, board=board)


class Sequence:
    """Random changes of a few uploads, and what the counters must be after them."""

    def __init__(self, play: Play, seed: int) -> None:
        self.play = play
        self.random = random.Random(seed)
        self.made: dict[str, NewUpload] = {}
        self.uncounted: set[str] = set()

    async def step(self) -> None:
        choices = (self.create, self.create, self.apply, self.apply, self.receive, self.grant, self.complete)
        rare = (self.lose_and_rebuild, self.end_by_journal, self.clean)
        await self.random.choice(choices if self.random.random() < 0.8 else rare)()

    async def create(self) -> None:
        alone = [transport for transport in Transport if transport is not Transport.FINAL]  # it needs its parts
        transport = self.random.choice([Transport.GATEWAY, Transport.GATEWAY, *alone])
        source = ObjectVersion("sluice", "raw", "e") if transport is Transport.IMPORT else None
        new = new_upload(
            owner=self.random.choice(OWNERS),
            size_bytes=self.random.randint(1, 60),
            transport=transport,
            source=source,
            idempotency_key=self.random.choice([None, *"abc"]),
            fingerprint="f",
            again=True,
        )
        try:
            upload, created = await self.play.board.create(new)
        except LimitReached:
            return
        if created:
            self.made[upload.upload_id] = new

    async def upload(self) -> Upload | None:
        if not self.made:
            return None
        try:
            return await self.play.board.get(self.random.choice(list(self.made)))
        except RequestError:
            return None

    async def apply(self) -> None:
        if upload := await self.upload():
            await self.play.board.apply(upload.upload_id, self.random.choice(list(Event)))

    async def receive(self) -> None:
        upload = await self.upload()
        if upload and upload.transport is Transport.GATEWAY:
            await self.play.receive(upload, self.random.randint(1, upload.plan.count))

    async def grant(self) -> None:
        if upload := await self.upload():
            await self.play.board.record_grant(upload.upload_id, 60)

    async def complete(self) -> None:
        upload = await self.upload()
        if upload and upload.transport in (Transport.DIRECT, Transport.TOKEN):
            plan = upload.plan
            segments = [StoredSegment(number, plan.length(number), "e") for number in range(1, plan.count + 1)]
            await self.play.board.complete(upload.upload_id, segments)

    async def lose_and_rebuild(self) -> None:
        """Redis has lost an upload, with its counters, and has it again."""
        upload = await self.upload()
        if upload is None or upload.status in ENDED:
            return
        client, keys, name = self.play.parts.client, self.play.parts.keys, upload.upload_id
        await client.delete(keys.upload(name))
        for index in (keys.uploads, keys.status(upload.status), keys.listed(upload.status)):
            await client.zrem(index, name)
        await self.play.parts.owners.compare(repair=True)
        journal = Journal(self.made[name], {1: 1} if upload.segments_received else {})
        if upload.transport in (Transport.DIRECT, Transport.TOKEN) and upload.status is Status.PROCESSING:
            journal.completed = True
        await self.play.board.rebuild(journal, has_file=self.random.random() < 0.5, grants_seconds=60)

    async def end_by_journal(self) -> None:
        """An upload had ended, and Redis has forgotten that."""
        if upload := await self.upload():
            ended = self.random.choice([Ended(Status.READY), Ended(Status.FAILED, ("NOT_MEDIA", "no"))])
            await self.play.board.rebuild(
                Journal(self.made[upload.upload_id], ended=ended), has_file=False, grants_seconds=60
            )

    async def clean(self) -> None:
        upload = await self.upload()
        if upload and upload.status in ENDED:
            await self.play.board.mark_cleaned(upload.upload_id)

    async def expected(self) -> dict[str, Counter[str]]:
        found: dict[str, Counter[str]] = {owner: Counter() for owner in OWNERS}
        for name, new in self.made.items():
            upload = await self.play.board.get(name)
            if upload.status not in ENDED:
                found[new.owner]["waiting" if upload.status is Status.WAITING else "in_flight"] += 1
                found[new.owner]["bytes"] += new.size_bytes
        return found


@pytest.mark.parametrize("seed", range(3))
async def test_counters_equal_a_recount_at_any_moment(parts: RedisParts, seed: int) -> None:
    sequence = Sequence(Play(parts), seed)
    for step in range(STEPS):
        await sequence.step()
        for owner, count in (await sequence.expected()).items():
            counted = {
                key: int(value) for key, value in (await hash_all(parts.client, parts.keys.owner(owner))).items()
            }
            assert counted == dict(count), f"{owner} after step {step}"
            assert count["bytes"] <= 500, "the limit holds"
        assert await parts.owners.compare() == [], step
    for name in sequence.made:
        await parts.board.apply(name, Event.CANCEL)
        await parts.board.apply(name, Event.FAIL)
    assert not [key for key in await Play(parts).keys() if ":owner:" in key], "an owner without uploads leaves nothing"


async def test_the_bytes_of_the_day_equal_a_recount_of_its_uploads(parts: RedisParts) -> None:
    """While no record was lost: then the day of a rebuilt one is counted again."""
    sequence = Sequence(Play(parts), 7)
    sequence.lose_and_rebuild = sequence.clean  # type: ignore[method-assign]  # this one loses the count of a day
    first_day = await now_ms(parts.client) // 86_400_000
    for _ in range(STEPS):
        await sequence.step()
    last_day = await now_ms(parts.client) // 86_400_000  # midnight may have passed
    for owner in OWNERS:
        expected = 0
        for name in (name for name, new in sequence.made.items() if new.owner == owner):
            upload = await parts.board.get(name)
            whole = upload.status not in ENDED or upload.status is Status.READY or upload.granted_at_ms
            expected += upload.size_bytes if whole else upload.bytes_received
        counted = 0
        for day in {first_day, last_day}:
            counted += int(await parts.client.get(f"{parts.keys.prefix}owner-day:{day}:{owner}") or 0)
        assert counted == expected
