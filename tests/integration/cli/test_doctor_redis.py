"""What `sluice doctor` finds in servers that Sluice cannot use, and with users that lack a right."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from deploy.cli.doctor.check_redis import check_redis
from deploy.cli.doctor.findings import Finding, Findings, Level
from deploy.embedded.ports import PortPool
from deploy.embedded.redis import answers_ping
from pipeline.adapters.redis.replies import PROBLEMS
from pipeline.bootstrap import redis_parts
from pipeline.settings import Settings
from tests.harness.redis_versions import RedisServer, program_of, redis_server_of

pytestmark = pytest.mark.integration

_SECONDS = 20.0


async def _problems(url: str, namespace: str = "sluice") -> list[Finding]:
    findings = Findings("Redis")
    await check_redis(Settings(redis_url=SecretStr(url), redis_namespace=namespace), findings)
    assert all(finding.advice for finding in findings.all if finding.level is not Level.OK)
    return [finding for finding in findings.all if finding.level is not Level.OK]


async def test_a_user_with_the_advised_rights_has_no_problem(each_redis: RedisServer, redis_namespace: str) -> None:
    async with each_redis.admin() as admin:
        url = await each_redis.restrict(admin, redis_namespace)
        assert await _problems(url, redis_namespace) == []


@pytest.mark.parametrize(
    "lacks", ["-subscribe", "-publish", "-xadd", "-multi", "-evalsha", "-info", "resetkeys", "resetchannels", "off"]
)
async def test_each_missing_right_is_an_error_with_the_rules_to_set(
    each_redis: RedisServer, redis_namespace: str, lacks: str
) -> None:
    async with each_redis.admin() as admin:
        url = await each_redis.restrict(admin, redis_namespace, lacks)
        (problem,) = await _problems(url, redis_namespace)
    assert problem.level is Level.ERROR
    if lacks == "off":
        assert PROBLEMS["WRONGPASS"] in problem.what
    else:
        assert PROBLEMS["NOPERM"] in problem.what
        assert f"ACL SETUSER sluice ~{redis_namespace}:*" in problem.advice


async def test_a_process_without_the_right_to_subscribe_says_why_no_signals_arrive(
    each_redis: RedisServer, redis_namespace: str
) -> None:
    async with each_redis.admin() as admin:
        url = await each_redis.restrict(admin, redis_namespace, "-subscribe")
        async with redis_parts(Settings(redis_url=SecretStr(url), redis_namespace=redis_namespace)) as parts:
            assert PROBLEMS["NOPERM"] in parts.signals.problem
            await parts.health.check()


async def test_a_server_that_wants_a_password(each_redis: RedisServer) -> None:
    async with each_redis.admin() as admin:
        await admin.config_set("requirepass", "secret")
        try:
            (problem,) = await _problems(each_redis.url)
            assert PROBLEMS["NOAUTH"] in problem.what
            (problem,) = await _problems(each_redis.url.replace("redis://", "redis://:wrong@"))
            assert PROBLEMS["WRONGPASS"] in problem.what
            assert await _problems(each_redis.url.replace("redis://", "redis://:secret@")) == []
        finally:
            await admin.config_set("requirepass", "")


async def test_a_cluster(tmp_path: Path) -> None:
    ports = PortPool()
    try:
        options = ("--cluster-enabled", "yes", "--cluster-port", str(ports.port("bus")))
        with redis_server_of("redis-7", tmp_path, *options) as server:
            problems = await _problems(server.url)
    finally:
        ports.release_all()
    assert "is a cluster" in [problem.what for problem in problems]
    assert all(problem.level is Level.ERROR for problem in problems)


async def test_a_sentinel(tmp_path: Path) -> None:
    ports = PortPool()
    port = ports.port("sentinel")
    configuration = tmp_path / "sentinel.conf"
    configuration.write_text(f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\n")
    command = [program_of("redis-7"), str(configuration), "--sentinel"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:  # noqa: ASYNC220  # returns at once
        try:
            deadline = time.monotonic() + _SECONDS
            while not answers_ping(port):
                assert time.monotonic() < deadline
            (problem,) = await _problems(f"redis://127.0.0.1:{port}/0")
        finally:
            process.terminate()
            ports.release_all()
    assert "Sentinel" in problem.what
    assert problem.level is Level.ERROR
