"""Redis with TLS, a user and a password: every client of Sluice verifies whom it talks to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from deploy.cli.doctor.check_redis import check_redis
from deploy.cli.doctor.findings import Findings, Level
from deploy.embedded.ports import LOOPBACK, PortPool
from deploy.embedded.process import ChildProcess, run_all
from pipeline.bootstrap.redis import redis_address, redis_parts
from pipeline.core.errors import DependencyUnavailable
from pipeline.settings import Settings
from tests.contract.redis.queue_workers import Engine, new_job, working
from tests.harness.certificates import TestCa
from tests.harness.redis_versions import tls_program

pytestmark = pytest.mark.contract

USER, PASSWORD = "sluice", "s3cret/with%41?odd&chars"


@dataclass(frozen=True)
class TlsRedis:
    port: int
    ca: TestCa
    client: tuple[Path, Path]
    demands: bool

    def settings(self, namespace: str, **changes: Any) -> Settings:
        url = f"rediss://{USER}:{quote(PASSWORD, safe='')}@localhost:{self.port}/0"
        values: dict[str, Any] = {
            "redis_url": SecretStr(url),
            "redis_namespace": namespace,
            "redis_ca_file": self.ca.ca_file,
        }
        if self.demands:
            values |= {"redis_certificate_file": self.client[0], "redis_key_file": self.client[1]}
        return Settings(**{**values, **changes})


@pytest.fixture(scope="module", params=["password", "password and certificate"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRedis]:
    program = tls_program()
    directory = tmp_path_factory.mktemp("redis-tls")
    ca, ports = TestCa(directory / "ca"), PortPool()
    certificate, key = ca.issue("redis", "localhost")
    client = ca.issue("client")
    demands = request.param != "password"
    configuration = directory / "redis.conf"
    configuration.write_text(
        f"""port 0
tls-port {ports.port("redis")}
bind {LOOPBACK}
dir {directory}
tls-cert-file {certificate}
tls-key-file {key}
tls-ca-cert-file {ca.ca_file}
tls-auth-clients {"yes" if demands else "no"}
appendonly yes
user default off
user {USER} on >{PASSWORD} ~* &* +@all
"""
    )
    process = ChildProcess(
        name="redis-tls",
        command=[program, str(configuration)],
        log_path=directory / "log",
        environment={},
        is_ready=lambda: b"Ready to accept connections" in (directory / "log").read_bytes(),
    )
    with ExitStack() as stack:
        stack.callback(ports.release_all)
        stack.callback(process.stop)
        run_all([process.bring_up()])
        yield TlsRedis(ports.port("redis"), ca, client, demands)


async def test_gateway_and_workers_use_it(server: TlsRedis, redis_namespace: str) -> None:
    settings = server.settings(redis_namespace)
    ran = asyncio.Event()

    async def note(_job: object) -> None:
        ran.set()

    async with redis_parts(settings) as parts:
        await parts.health.check()
        async with working(parts, redis_address(settings), Engine(note)):
            await parts.queue.enqueue(new_job())
            async with asyncio.timeout(30):
                await ran.wait()
        assert not parts.signals.problem


@pytest.mark.parametrize("what", ["another CA", "no CA", "another host", "wrong password", "plain"])
async def test_it_is_refused_where_it_is_not_proven(
    server: TlsRedis, redis_namespace: str, tmp_path: Path, what: str
) -> None:
    good = server.settings(redis_namespace)
    url = good.redis_url.get_secret_value()
    cases: dict[str, dict[str, Any]] = {
        "another CA": {"redis_ca_file": TestCa(tmp_path / "other").ca_file},
        "no CA": {"redis_ca_file": None},
        "another host": {"redis_url": SecretStr(url.replace("localhost", LOOPBACK))},
        "wrong password": {"redis_url": SecretStr(url.replace("s3cret", "wrong"))},
        "plain": {"redis_url": SecretStr(url.replace("rediss://", "redis://"))},
    }
    settings = server.settings(redis_namespace, **cases[what])
    async with redis_parts(settings) as parts:
        with pytest.raises(DependencyUnavailable) as refused:
            await parts.health.check()
    text = f"{refused.value.message} {refused.value.detail} {settings!r} {parts!r}"
    assert "with%41" not in text
    assert "with%2541" not in text
    findings = Findings("Redis")
    await check_redis(settings, findings)
    assert Level.ERROR in [finding.level for finding in findings.all]
    assert "with%" not in str(findings.all)


async def test_without_the_client_certificate_that_it_demands(server: TlsRedis, redis_namespace: str) -> None:
    if not server.demands:
        pytest.skip("it demands none")
    settings = server.settings(redis_namespace, redis_certificate_file=None, redis_key_file=None)
    async with redis_parts(settings) as parts:
        with pytest.raises(DependencyUnavailable):
            await parts.health.check()


async def test_the_url_can_turn_verification_off(server: TlsRedis, redis_namespace: str) -> None:
    url = server.settings(redis_namespace).redis_url.get_secret_value()
    off = SecretStr(f"{url.replace('localhost', LOOPBACK)}?ssl_cert_reqs=none")
    settings = server.settings(redis_namespace, redis_url=off, redis_ca_file=None)
    async with redis_parts(settings) as parts:
        await parts.health.check()
