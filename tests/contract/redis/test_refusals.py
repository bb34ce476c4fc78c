"""Errors of real servers of both versions: each becomes REDIS_UNAVAILABLE with its code, and nothing is half done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import DataError, ResponseError

from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.reads import hash_all, members
from pipeline.adapters.redis.replies import PROBLEMS
from pipeline.bootstrap import RedisParts, redis_parts
from pipeline.core.errors import DependencyUnavailable
from pipeline.core.lifecycle import Event
from pipeline.core.retry import Dependency
from pipeline.core.stages import Stage
from pipeline.core.stored_objects import StoredSegment
from pipeline.settings import Settings
from tests.contract.redis.uploads import Play, until
from tests.harness.faults.redis import REDIS_FAULTS, RedisFault
from tests.harness.new_uploads import new_upload
from tests.harness.redis_calls import reply
from tests.harness.redis_versions import RedisServer

pytestmark = pytest.mark.contract


@asynccontextmanager
async def _opened(url: str, namespace: str) -> AsyncIterator[RedisParts]:
    async with redis_parts(Settings(redis_url=SecretStr(url), redis_namespace=namespace)) as parts:
        yield parts


@pytest.fixture
async def admin(each_redis: RedisServer) -> AsyncIterator[Redis]:
    async with each_redis.admin() as client:
        yield client


@pytest.fixture
async def user_url(each_redis: RedisServer, admin: Redis, redis_namespace: str) -> str:
    return await each_redis.restrict(admin, redis_namespace)


@pytest.fixture
async def parts(user_url: str, redis_namespace: str) -> AsyncIterator[RedisParts]:
    """As a user with the rights that `sluice doctor` advises."""
    async with _opened(user_url, redis_namespace) as opened:
        yield opened


async def _refused(fault: RedisFault, call: Awaitable[object]) -> None:
    with pytest.raises(DependencyUnavailable) as caught:
        await call
    assert caught.value.code == "REDIS_UNAVAILABLE"
    assert caught.value.detail["redis_code"] in fault.codes | {""}, caught.value.message
    if code := caught.value.detail["redis_code"]:
        assert PROBLEMS[code] in caught.value.message


async def _everything(admin: Redis, namespace: str) -> dict[str, object]:
    """Every key of the namespace and of arq's jobs, with its value."""
    keys = [key async for key in admin.scan_iter(count=1000) if key.startswith((namespace, "arq:"))]
    return {key: [await admin.object("encoding", key), await _value(admin, key)] for key in sorted(keys)}


async def _value(admin: Redis, key: str) -> object:
    read: dict[str, Callable[[], Awaitable[object]]] = {
        "hash": lambda: hash_all(admin, key),
        "zset": lambda: admin.zrange(key, 0, -1, withscores=True),
        "set": lambda: members(admin, key),
        "string": lambda: admin.get(key),
        "stream": lambda: admin.xrange(key),
    }
    return await read[await admin.type(key)]()


@pytest.mark.parametrize("name", REDIS_FAULTS)
async def test_whatever_redis_refuses_is_an_outage(
    each_redis: RedisServer, admin: Redis, parts: RedisParts, name: str
) -> None:
    fault, play = REDIS_FAULTS[name], Play(parts)
    upload = await play.admitted(2)
    verdict = await play.receive(upload, 1)
    job = verdict.jobs[0]
    await parts.health.check()
    scripts_pass = fault.codes == {"NOREPLICAS"} and each_redis.version == "redis-6"
    without_scripts = name in ("without scripts", "without a command", "without its channels")
    async with fault.during(admin):
        if not scripts_pass:
            await _refused(fault, parts.board.create(new_upload()))
            await _refused(fault, parts.board.apply(upload.upload_id, Event.CANCEL))
            await _refused(fault, play.receive(upload, 2))
            await _refused(fault, parts.stages.start(job, "worker"))
        if not without_scripts:
            await _refused(fault, parts.workers.write("worker", {"types": "probe"}))
        if not without_scripts or name == "without its channels":
            await _refused(fault, parts.queue.enqueue(job))
        if fault.reads_fail:
            await _refused(fault, parts.board.get(upload.upload_id))
            await _refused(fault, parts.gauges.collect())
            await _refused(fault, parts.ledger.snapshot())

        async def is_named() -> bool:
            try:
                await parts.health.check()
            except DependencyUnavailable as error:
                return error.detail["redis_code"] in fault.codes
            return False

        await until(is_named)

    async def is_healthy() -> bool:
        try:
            await parts.health.check()
        except DependencyUnavailable:
            return False
        return True

    await until(is_healthy)
    assert (await parts.board.create(new_upload()))[1]
    assert (await play.receive(upload, 2)).accepted
    await parts.stages.start(job, "worker")
    await parts.queue.enqueue(job)
    assert await parts.queue.jobs("local", 10) == ([job] if job.stage is not Stage.PERSIST else [])


_REVOKED = ("xadd", "publish", "zadd", "hset", "hincrby", "hsetnx", "zrem", "hdel", "set", "del", "hkeys", "sadd")


@pytest.mark.parametrize("command", _REVOKED)
async def test_a_user_who_lacks_a_right_leaves_no_half_change(
    each_redis: RedisServer, admin: Redis, user_url: str, redis_namespace: str, command: str
) -> None:
    async with _opened(user_url, redis_namespace) as parts:
        play = Play(parts)
        upload = await play.admitted(2)
        await play.receive(upload, 1)
        job = (await play.receive_all(await play.admitted(1)))[Stage.ASSEMBLE]
        before = await _everything(admin, redis_namespace)
        await each_redis.restrict(admin, redis_namespace, f"-{command}")

        async def refuse(parts: RedisParts) -> None:
            play = Play(parts)
            # A script proves the rights that it uses. Once one was refused, so is every other script.
            first: dict[str, Callable[[], Awaitable[object]]] = {
                "hkeys": lambda: parts.ledger.adopt(upload.upload_id, 10, 10),
                "hsetnx": lambda: parts.segments.record_stored(job, StoredSegment(1, 10, "e")),
            }
            calls: tuple[Callable[[], Awaitable[object]], ...] = (
                *([first[command]] if command in first else []),
                lambda: parts.board.create(new_upload(idempotency_key="once")),
                lambda: play.receive(upload, 2),
                lambda: parts.board.apply(upload.upload_id, Event.CANCEL),
                lambda: parts.stages.start(job, "worker"),
                lambda: parts.ledger.adopt(upload.upload_id, 10, 10),
                lambda: parts.ledger.give(upload.upload_id, {1: 5}, stored=True),
            )
            for call in calls:
                with pytest.raises(DependencyUnavailable) as caught:
                    await call()
                assert caught.value.detail["redis_code"] == "NOPERM"

        await refuse(parts)
        assert await _everything(admin, redis_namespace) == before
        async with _opened(user_url, redis_namespace) as another:
            await refuse(another)
        assert await _everything(admin, redis_namespace) == before
        await each_redis.restrict(admin, redis_namespace)
        assert (await play.receive(upload, 2)).accepted


async def test_out_of_memory_stops_a_script_before_its_first_write_or_not_at_all(
    each_redis: RedisServer, admin: Redis, parts: RedisParts, redis_namespace: str
) -> None:
    play = Play(parts)
    upload, ended = await play.admitted(3), await play.admitted(1)
    job = (await play.receive_all(await play.admitted(2)))[Stage.TRANSFER]
    await play.started(job)
    await play.receive(upload, 1)
    await parts.board.apply(ended.upload_id, Event.CANCEL)
    await parts.ledger.adopt(upload.upload_id, 10, 10)
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "create": lambda: parts.board.create(new_upload()),
        "receive": lambda: play.receive(upload, 2),
        "store": lambda: play.store(job, upload, [1]),
        "invalidate": lambda: parts.segments.invalidate(upload.upload_id, 1, 0x1001),
        "renew": lambda: parts.stages.renew(job),
        "record_outage": lambda: parts.stages.record_outage(job, Dependency.STORE),
        "overdue": lambda: parts.stages.overdue(10),
        "cleaned": lambda: parts.board.mark_cleaned(ended.upload_id),
        "purge": lambda: parts.board.purge_expired(10),
        "give": lambda: parts.ledger.give(upload.upload_id, {1: 5}, stored=True),
        "take": lambda: parts.ledger.take(upload.upload_id, 1, 5, segment_bytes=5, reader_segments=0),
        "release": lambda: parts.ledger.release(upload.upload_id),
        "requeue": lambda: parts.stages.requeue(job),
        "cancel": lambda: parts.board.apply(upload.upload_id, Event.CANCEL),
    }
    async with REDIS_FAULTS["out of memory"].during(admin):
        for name, call in calls.items():
            before = await _everything(admin, redis_namespace)
            refused = (await asyncio.gather(call(), return_exceptions=True))[0]
            if isinstance(refused, BaseException):
                assert isinstance(refused, DependencyUnavailable), name
                assert refused.detail["redis_code"] == "OOM", name
                assert await _everything(admin, redis_namespace) == before, name


async def test_mistakes_of_ours_are_not_outages(admin: Redis) -> None:
    await admin.set("a-string", "x")
    scripts = (
        "return nothing.at_all",
        "error('a bug')",
        "return redis.call('GET')",
        "return (",
        "return redis.call('HGET', 'a-string', 'f')",
        "return redis.call('INCR', 'a-string')",
        "return redis.call('HGET', {}, 1)",
    )
    for script in scripts:
        with pytest.raises(ResponseError), translated():
            await reply(admin.eval(script, 0))
    with pytest.raises(ResponseError), translated():
        await admin.execute_command("GET")  # type: ignore[no-untyped-call]  # redis-py has no types here
    with pytest.raises(ResponseError), translated():
        await reply(admin.hget("a-string", "f"))
    with pytest.raises(DataError), translated():
        await admin.set("a-string", None)  # type: ignore[arg-type]  # the mistake
    with pytest.raises(ZeroDivisionError), translated():
        await admin.set("a-string", 1 // 0)


async def test_other_errors_of_scripts_are_outages(admin: Redis) -> None:
    for script in (
        "return redis.call('NO_SUCH_COMMAND')",
        "return redis.call('SUBSCRIBE', 'c')",
        "return redis.error_reply('EXAMPLE what a later version may say')",
        "return redis.error_reply('what a proxy may say')",
    ):
        with pytest.raises(DependencyUnavailable), translated():
            await reply(admin.eval(script, 0))
    with pytest.raises(DependencyUnavailable) as caught, translated():
        await admin.execute_command("NO_SUCH_COMMAND")  # type: ignore[no-untyped-call]  # as above
    assert caught.value.detail["redis_code"] == "UNKNOWN"
