"""Connections to the primary that real Sentinels name, while servers are demoted, frozen and come back."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from deploy.cli.doctor.check_redis import check_redis
from deploy.cli.doctor.findings import Findings, Level
from deploy.embedded.ports import LOOPBACK
from deploy.embedded.process import run_all, wait_until
from pipeline.adapters.redis.connecting import open_pool
from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.sentinel import read_sentinel_url
from pipeline.bootstrap import redis_parts
from pipeline.core.errors import DependencyUnavailable
from pipeline.settings import Settings
from tests.contract.redis.queue_workers import Engine, new_job, working
from tests.contract.redis.uploads import Play, until
from tests.harness.redis_calls import reply
from tests.harness.sentinel import SentinelCluster, sentinel_cluster

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelCluster]:
    with sentinel_cluster(tmp_path_factory.mktemp("sentinel")) as cluster:
        yield cluster


@pytest.fixture
def cluster(started: SentinelCluster) -> SentinelCluster:
    """With every replica in step."""
    assert wait_until(started.is_redundant, 60)
    return started


@pytest.fixture
async def client(cluster: SentinelCluster) -> AsyncIterator[Redis]:
    pool = open_pool(
        cluster.url,
        max_connections=8,
        after_switch=("INCR", "switches"),
        decode_responses=True,
        socket_timeout=1,
        socket_connect_timeout=1,
    )
    client: Redis = Redis(connection_pool=pool)
    await client.delete("switches")
    yield client
    await client.aclose(close_connection_pool=True)


async def until_written(client: Redis, key: str, value: str) -> None:
    """Repeat a write until it is acknowledged, as a caller does during an outage."""

    async def written() -> bool:
        with suppress(DependencyUnavailable), translated():
            return bool(await client.set(key, value))
        return False

    await until(written)


async def until_switched(cluster: SentinelCluster, number: int) -> int:
    return await asyncio.to_thread(cluster.until_primary_is_not, number)


async def test_the_adapters_follow_a_primary_that_is_demoted(cluster: SentinelCluster, redis_namespace: str) -> None:
    """SENTINEL FAILOVER, as for maintenance: the old primary runs on, and refuses writes then."""
    settings = Settings(redis_url=SecretStr(cluster.url), redis_namespace=redis_namespace)
    async with redis_parts(settings) as parts:
        play, engine = Play(parts), Engine()
        upload = await play.admitted()
        run, old = await parts.board.server_run(), cluster.primary()
        async with working(parts, cluster.url, engine), parts.signals.watch(upload.upload_id) as changes:
            cluster.demote()
            await until_switched(cluster, old)

            async def received() -> bool:
                with suppress(DependencyUnavailable):
                    return (await play.receive(upload, 1)).accepted
                return False

            await until(received)
            again = await parts.board.server_run()
            assert again.partition(".")[0] != run
            assert again.endswith(".1"), "recovery compares the journals again"

            async def follows() -> bool:
                """The listener has subscribed to the new primary."""
                woken = asyncio.ensure_future(anext(changes))
                await play.receive(upload, 1)
                done, _ = await asyncio.wait({woken}, timeout=1)
                woken.cancel()
                return bool(done) and not parts.signals.problem

            await until(follows)
            await parts.queue.enqueue(new_job())
            await until(lambda: len(engine.ran) == 1)
            await parts.gauges.collect()
            await parts.health.check()


async def test_doctor_checks_the_sentinels(cluster: SentinelCluster, redis_namespace: str) -> None:
    async def problems() -> list[str]:
        findings = Findings("Redis")
        settings = Settings(redis_url=SecretStr(cluster.url), redis_namespace=redis_namespace)
        await check_redis(settings, findings)
        assert all(finding.advice for finding in findings.all if finding.level is not Level.OK)
        return [finding.what for finding in findings.all if finding.level is not Level.OK]

    assert await problems() == []
    cluster.sentinels[2].stop()
    try:
        (problem,) = await problems()
        assert f"{LOOPBACK}:{cluster.sentinel_ports[2]}" in problem
        cluster.sentinels[1].stop()
        assert any("could not agree" in problem for problem in await problems())
    finally:
        run_all([sentinel.bring_up() for sentinel in cluster.sentinels if sentinel.pid is None])


async def test_an_unknown_name_is_an_outage_that_names_it(cluster: SentinelCluster, redis_namespace: str) -> None:
    settings = Settings(
        redis_url=SecretStr(cluster.url.replace("/sluice/", "/other/")), redis_namespace=redis_namespace
    )
    async with redis_parts(settings) as parts:
        with pytest.raises(DependencyUnavailable, match="no Sentinel names an available primary of 'other'"):
            await parts.ledger.epoch()
    findings = Findings("Redis")
    await check_redis(settings, findings)
    (problem,) = [finding for finding in findings.all if finding.level is not Level.OK]
    assert (problem.level, "'other'" in problem.what) == (Level.ERROR, True)


def test_a_url_is_read_as_the_document_says() -> None:
    url = "rediss+sentinel://ann:p%40ss@a.example,[::1]:5000/main/3?sentinel_password=s%2Fx&ssl_check_hostname=true"
    found = read_sentinel_url(url)
    assert found is not None
    assert (found.sentinels, found.primary, found.tls) == ((("a.example", 26379), ("::1", 5000)), "main", True)
    assert found.options == {"username": "ann", "password": "p@ss", "db": 3, "ssl_check_hostname": True}
    assert (found.sentinel_options["username"], found.sentinel_options["password"]) == (None, "s/x")
    assert (found.sentinel_options["ssl"], found.sentinel_options["ssl_check_hostname"]) == (True, True)
    assert "p@ss" not in repr(found)
    assert read_sentinel_url("redis://:secret@h:6379/0") is None


async def test_a_frozen_primary_that_returns_gets_no_more_writes(cluster: SentinelCluster, client: Redis) -> None:
    """All connections lead to it when it is frozen. It still accepts writes when it is back, until it is demoted."""
    old = cluster.primary()
    frozen = cluster.servers[old].pid
    assert frozen is not None
    await asyncio.gather(*(client.incr("count") for _ in range(50)))
    os.kill(frozen, signal.SIGSTOP)
    try:
        new = await until_switched(cluster, old)
        await until_written(client, "while frozen", "1")
    finally:
        os.kill(frozen, signal.SIGCONT)
    # Together, so that every connection that the pool has is used.
    await asyncio.gather(*(reply(client.rpush("numbers", number)) for number in range(200)))
    with cluster.client(new) as direct:
        assert direct.llen("numbers") == 200
        assert direct.get("switches") == "1"
