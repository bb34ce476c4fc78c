"""`ports.replays.ReplayRepository` on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from uuid6 import uuid7

from pipeline.adapters.postgres.contents import PostgresContentRepository
from pipeline.adapters.postgres.replays import PostgresReplays
from pipeline.adapters.postgres.webhooks import PostgresWebhooks
from pipeline.core.errors import DatabaseRejected, MediaError, RequestError, StageLost
from pipeline.core.stored_objects import thumbnail_key
from pipeline.ports.replays import ColumnValue, NothingYet, ReplayClaim
from pipeline.ports.webhooks import NewWebhook
from schemas.replays import ReplayFilters
from tests.contract.postgres.replays.conftest import expire
from tests.contract.postgres.test_contents import media, new_record

pytestmark = pytest.mark.contract

LEASE_SECONDS = 600.0


async def some(contents: PostgresContentRepository, count: int) -> list[str]:
    """Contents, oldest first."""
    return [(await contents.save(new_record())).id for _ in range(count)]


async def taken(replays: PostgresReplays, replay_id: str) -> ReplayClaim:
    claim = await replays.claim(replay_id, LEASE_SECONDS)
    assert isinstance(claim, ReplayClaim)
    return claim


async def everything(replays: PostgresReplays, filters: ReplayFilters) -> list[str]:
    """The contents of a new replay, in its order. Each is done when the next is taken."""
    replay, found = await replays.create("probe", filters, None), list[str]()
    while (claim := await replays.claim(replay.id, LEASE_SECONDS)) is not None:
        assert isinstance(claim, ReplayClaim)
        found.append(claim.content_id)
        await replays.apply(claim, {})
    assert (await replays.get(replay.id)).state == "done"
    assert replay.matching == len(found)
    return found


async def test_contents_come_once_oldest_first_and_none_that_is_newer(
    contents: PostgresContentRepository, replays: PostgresReplays
) -> None:
    ids = await some(contents, 3)
    replay = await replays.create("probe", ReplayFilters(), None)
    await some(contents, 1)
    for content_id in ids:
        claim = await taken(replays, replay.id)
        assert claim.content_id == content_id
        await replays.apply(claim, {})
    assert await replays.claim(replay.id, LEASE_SECONDS) is None


async def test_each_filter(contents: PostgresContentRepository, replays: PostgresReplays) -> None:
    audio: dict[str, Any] = {
        "kind": "audio",
        "container": "mp3",
        "streams": [{"index": 0, "codec": "mp3", "type": "audio"}],
    }
    plain = await contents.save(new_record())
    pictureless = await contents.save(new_record(thumbnail=None))
    sound = await contents.save(new_record(media=media(**audio), owner="ann"))
    elsewhere = new_record()
    elsewhere = replace(elsewhere, stored=replace(elsewhere.stored, store="s3"))
    other = await contents.save(elsewhere)
    last = other.created_at + timedelta(microseconds=1)
    cases: Sequence[tuple[ReplayFilters, set[str]]] = [
        (ReplayFilters(), {plain.id, pictureless.id, sound.id, other.id}),
        (ReplayFilters(owner="ann"), {sound.id}),
        (ReplayFilters(kind="audio"), {sound.id}),
        (ReplayFilters(audio_codec="mp3"), {sound.id}),
        (ReplayFilters(video_codec="h264", thumbnail=True), {plain.id, other.id}),
        (ReplayFilters(thumbnail=False), {pictureless.id}),
        (ReplayFilters(store="s3"), {other.id}),
        (ReplayFilters(ids=[UUID(plain.id), UUID(sound.id), uuid7()]), {plain.id, sound.id}),
        (ReplayFilters(ids=[UUID(plain.id)], owner="ann"), set()),
        (ReplayFilters(max_created_at=pictureless.created_at), {plain.id, pictureless.id}),
        (ReplayFilters(min_created_at=sound.created_at, max_width=720), {other.id}),
        (ReplayFilters(min_created_at=last), set()),
    ]
    for filters, expected in cases:
        assert set(await everything(replays, filters)) == expected, filters
        assert (await replays.match(filters)).contents == len(expected)


async def test_runners_share_the_contents(contents: PostgresContentRepository, replays: PostgresReplays) -> None:
    ids = await some(contents, 12)
    replay, found = await replays.create("probe", ReplayFilters(), None), list[str]()

    async def runner() -> None:
        while (claim := await replays.claim(replay.id, LEASE_SECONDS)) is not None:
            if isinstance(claim, NothingYet):
                return
            found.append(claim.content_id)
            await replays.apply(claim, {"kind": "image"})

    await asyncio.gather(*(runner() for _ in range(4)))
    assert sorted(found) == sorted(ids)
    assert await replays.claim(replay.id, LEASE_SECONDS) is None
    assert (await replays.get(replay.id)).changed == 12


async def test_a_rate_is_that_of_all_runners(contents: PostgresContentRepository, replays: PostgresReplays) -> None:
    await some(contents, 3)
    replay = await replays.create("probe", ReplayFilters(), 0.001)
    found = await asyncio.gather(*(replays.claim(replay.id, LEASE_SECONDS) for _ in range(5)))
    waits = [item.seconds for item in found if isinstance(item, NothingYet)]
    assert sum(isinstance(item, ReplayClaim) for item in found) == 1
    assert len(waits) == 4
    assert all(500 < seconds <= 1000 for seconds in waits)
    await replays.resume(replay.id, 1000, failed=False)
    assert isinstance(await replays.claim(replay.id, LEASE_SECONDS), ReplayClaim), "the new rate holds at once"


async def test_a_dead_runner_s_content_is_given_to_the_next(
    contents: PostgresContentRepository, replays: PostgresReplays, database: asyncpg.Connection
) -> None:
    (content_id,) = await some(contents, 1)
    replay = await replays.create("probe", ReplayFilters(), None)
    dead = await taken(replays, replay.id)
    waiting = await replays.claim(replay.id, LEASE_SECONDS)
    assert isinstance(waiting, NothingYet), "it has not ended: the first runner may live"
    await expire(database)
    await replays.renew([dead], LEASE_SECONDS)
    assert isinstance(await replays.claim(replay.id, LEASE_SECONDS), NothingYet), "it lives, and has renewed its lease"
    await expire(database)
    heir = await taken(replays, replay.id)
    assert (heir.content_id, heir.run) == (content_id, 2)
    for late in (replays.apply(dead, {"kind": "audio"}), replays.announce(dead, "s3", ["a"])):
        with pytest.raises(StageLost):
            await late
    await replays.renew([dead], 0)
    await replays.release(dead)
    await replays.finish(dead, "changed")
    await replays.fail(dead, MediaError("NOT_MEDIA", reason="late"))
    assert (await contents.get(content_id, None)).kind == "video"
    assert await replays.apply(heir, {"kind": "image"}) == "changed"
    after = await replays.get(replay.id)
    assert (after.changed, after.failed, after.unchanged) == (1, 0, 0)


async def test_only_what_differs_is_written(
    contents: PostgresContentRepository, replays: PostgresReplays, database: asyncpg.Connection
) -> None:
    before = await contents.save(new_record())
    await PostgresWebhooks(contents.pool).add(
        NewWebhook(str(uuid7()), None, "https://a.example", ["content.changed"], "", "secret"), 1
    )
    version = "SELECT xmin::text FROM contents WHERE id = $1"
    written_by = await database.fetchval(version, UUID(before.id))
    replay = await replays.create("probe", ReplayFilters(), None)
    same: dict[str, ColumnValue] = {
        "media": before.media.model_dump_json(),
        "kind": "video",
        "width": 720,
        "duration_seconds": 2.5,
    }
    assert await replays.apply(await taken(replays, replay.id), same) == "unchanged"
    assert await database.fetchval(version, UUID(before.id)) == written_by

    claim = await taken(replays, (await replays.create("probe", ReplayFilters(), None)).id)
    for column in ("owner", "etag", "kind = kind; --"):
        with pytest.raises(ValueError, match="cannot change"):
            await replays.apply(claim, {column: "x"})
    with pytest.raises(DatabaseRejected):
        await replays.apply(claim, {"kind": "nonsense"})
    found = before.media.model_validate(media(container="webm", bit_rate=5_000)).model_dump_json()
    assert await replays.apply(claim, {"media": found, "content_type": "video/webm"}) == "changed"
    after = await contents.get(before.id, None)
    assert (after.container_format, after.bit_rate, after.content_type) == ("webm", 5_000, "video/webm")
    events = await database.fetch("SELECT id, body FROM webhook_events")
    assert [row["id"] for row in events] == [f"{before.id}_content-changed_{claim.replay_id}"]
    assert json.loads(events[0]["body"])["data"]["content"] == after.model_dump(mode="json")


async def test_thumbnails_are_announced_and_one_is_kept(
    contents: PostgresContentRepository, replays: PostgresReplays
) -> None:
    content_id, deleted = await some(contents, 2)
    replay = await replays.create("thumbnail", ReplayFilters(), None)
    claim, old = await taken(replays, replay.id), thumbnail_key(content_id)
    await replays.announce(claim, "swift", ["new", old])
    assert await replays.obsolete(claim) == ("swift", ["new"])
    thumbnail = (await contents.get(content_id, None)).thumbnail
    assert thumbnail is not None
    text = thumbnail.model_copy(update={"key": "new"}).model_dump_json()
    with pytest.raises(StageLost):
        await replays.apply(claim, {"thumbnail": text}, "another")
    assert await replays.apply(claim, {"thumbnail": text}, old) == "changed"
    assert await replays.apply(claim, {"thumbnail": text}, old) == "changed", "repeated, it says the same"
    assert await replays.obsolete(claim) == ("swift", [old])
    assert (await replays.get(replay.id)).changed == 0, "the old thumbnail is not removed yet"
    for _ in range(2):
        await replays.finish(claim, "changed")
    assert (await replays.get(replay.id)).changed == 1

    claim = await taken(replays, replay.id)
    await replays.announce(claim, "swift", ["new"])
    await contents.delete(deleted)
    assert await replays.apply(claim, {"thumbnail": "{}"}, thumbnail_key(deleted)) == "skipped"
    assert await replays.obsolete(claim) == ("swift", ["new"])
    await replays.finish(claim, "skipped")
    assert (await replays.get(replay.id)).skipped == 1


async def test_failures_are_listed_and_tried_again(
    contents: PostgresContentRepository, replays: PostgresReplays
) -> None:
    (content_id,) = await some(contents, 1)
    replay = await replays.create("probe", ReplayFilters(), None)
    await replays.fail(await taken(replays, replay.id), MediaError("NOT_MEDIA", reason="no \0 header"))
    assert await replays.claim(replay.id, LEASE_SECONDS) is None
    (failure,) = await replays.failures(replay.id, 10)
    assert (failure.content_id, failure.code) == (content_id, "NOT_MEDIA")
    assert "no \ufffd header" in failure.reason
    done = await replays.get(replay.id)
    assert (done.state, done.failed, done.ended) == ("done", 1, 1)
    assert (await replays.resume(replay.id, None, failed=False)).state == "done"
    again = await replays.resume(replay.id, None, failed=True)
    assert (again.state, again.failed) == ("running", 0)
    assert (await taken(replays, replay.id)).run == 2
    assert await replays.failures(replay.id, 10) == []


async def test_a_stopped_replay_gives_nothing_until_it_is_resumed(
    contents: PostgresContentRepository, replays: PostgresReplays
) -> None:
    first, second = await some(contents, 2)
    replay = await replays.create("probe", ReplayFilters(), None)
    claim = await taken(replays, replay.id)
    assert (await replays.stop(replay.id)).in_progress == 1
    assert await replays.claim(replay.id, LEASE_SECONDS) is None
    assert await replays.apply(claim, {}) == "unchanged", "what a runner has is finished"
    await replays.resume(replay.id, None, failed=False)
    assert (await taken(replays, replay.id)).content_id == second
    assert claim.content_id == first
    (listed,) = await replays.newest(10)
    assert (listed.id, listed.state, listed.unchanged) == (replay.id, "running", 1)


async def test_unknown_replays_and_filters_are_refused(replays: PostgresReplays, database: asyncpg.Connection) -> None:
    unknown = str(uuid7())
    for name in (unknown, "x"):
        calls = (
            replays.get(name),
            replays.stop(name),
            replays.resume(name, None, failed=True),
            replays.failures(name, 1),
            replays.claim(name, 1),
        )
        for call in calls:
            with pytest.raises(RequestError) as refused:
                await call
            assert refused.value.code == "REPLAY_NOT_FOUND"
    replay = await replays.create("probe", ReplayFilters(owner="ann"), None)
    await database.execute("""UPDATE replays SET filters = filters || '{"mood": "good"}'""")
    with pytest.raises(RequestError) as newer:
        await replays.claim(replay.id, LEASE_SECONDS)
    assert newer.value.code == "REPLAY_OF_NEWER_RELEASE"
    assert (await replays.get(replay.id)).filters == {"owner": "ann", "mood": "good"}
