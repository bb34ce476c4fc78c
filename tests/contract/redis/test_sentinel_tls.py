"""Redis and its Sentinel with TLS, as docs/high-availability.md configures them: both are verified, and so is a replica
that is promoted, under the name that the Sentinel reports then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from deploy.cli.doctor.check_redis import check_redis
from deploy.cli.doctor.findings import Findings, Level
from deploy.embedded.ports import LOOPBACK, PortPool
from deploy.embedded.process import ChildProcess, run_all
from pipeline.adapters.redis.connecting import open_pool
from pipeline.adapters.redis.errors import translated
from pipeline.bootstrap.redis import redis_address, redis_parts
from pipeline.core.errors import DependencyUnavailable
from pipeline.settings import Settings
from tests.contract.redis.uploads import until
from tests.harness.certificates import TestCa
from tests.harness.redis_versions import tls_program
from tests.harness.sentinel import DOCUMENT, NAME, PASSWORD
from tests.harness.snippets import snippet

pytestmark = pytest.mark.contract

_NAMED: Final = "localhost"
"""What the certificates are for; they do not name the address."""
_SERVERS: Final = 2


@dataclass(frozen=True)
class TlsSentinel:
    """A Sentinel and the servers that it watches."""

    port: int
    ca: TestCa

    def settings(self, namespace: str, **changes: Any) -> Settings:
        url = SecretStr(f"rediss+sentinel://:{PASSWORD}@{_NAMED}:{self.port}/{NAME}/0")
        values: dict[str, Any] = {"redis_url": url, "redis_namespace": namespace, "redis_ca_file": self.ca.ca_file}
        return Settings(**{**values, **changes})


@contextmanager
def _sentinel(directory: Path, primary_host: str) -> Iterator[TlsSentinel]:
    """Run them while the block runs. `primary_host`: what the Sentinel reports. A replica runs if that is a name."""
    program, ports, ca = tls_program(), PortPool(), TestCa(directory / "ca")
    certificate, key = ca.issue("redis", _NAMED)
    own = {
        "/etc/redis/server.pem": str(certificate),
        "/etc/redis/server-key.pem": str(key),
        "/etc/redis/ca.pem": str(ca.ca_file),
        "announce-ip NAME": f"announce-ip {_NAMED}",
        "bind HOST": f"bind {LOOPBACK}",
        "PASSWORD": PASSWORD,
        "PRIMARY 6379": f"{primary_host} {ports.port('redis-0')}",
        f"{ports.port('redis-0')} 2": f"{ports.port('redis-0')} 1",  # one Sentinel decides alone
    }
    has_replica = primary_host == _NAMED
    redis = snippet(DOCUMENT, "redis", "appendonly").replace("port 6379\n", snippet(DOCUMENT, "redis", "tls-port"))
    sentinel = snippet(DOCUMENT, "sentinel", "sentinel monitor")
    sentinel = sentinel.replace("port 26379\n", snippet(DOCUMENT, "sentinel", "tls-port"))
    redis = redis.replace("min-replicas-to-write 1", "min-replicas-to-write 0")  # the last server works alone
    if not has_replica:
        sentinel = sentinel.replace("hostnames yes", "hostnames no").replace("sentinel announce-ip NAME\n", "")

    def process(name: str, text: str, port: str, ready: str, *options: str) -> ChildProcess:
        data = directory / name
        data.mkdir()
        for old, new in {**own, port: f"tls-port {ports.port(name)}", "/var/lib/redis": str(data)}.items():
            text = text.replace(old, new)
        (data / "own.conf").write_text(text)
        return ChildProcess(
            name=name,
            command=[program, str(data / "own.conf"), *options],
            log_path=data / "log",
            environment={},
            is_ready=lambda: ready in (data / "log").read_text(),
        )

    replica = f"{redis}replicaof {primary_host} {ports.port('redis-0')}\n"
    children = [
        process("redis-0", redis, "tls-port 6379", "Ready to accept connections"),
        *([process("redis-1", replica, "tls-port 6379", "Finished with success")] if has_replica else []),
        process("sentinel", sentinel, "tls-port 26379", "+slave slave" if has_replica else "+monitor", "--sentinel"),
    ]
    with ExitStack() as exits:
        exits.callback(ports.release_all)
        for child in children:
            exits.callback(child.stop)
            run_all([child.bring_up()])
        yield TlsSentinel(ports.port("sentinel"), ca)


@pytest.fixture(scope="module")
def sentinel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsSentinel]:
    with _sentinel(tmp_path_factory.mktemp("sentinel-tls"), _NAMED) as started:
        yield started


async def _works(settings: Settings) -> bool:
    """Whether the gateway's health check and `sluice doctor` can use Redis. They must agree."""
    works = True
    async with redis_parts(settings) as parts:
        try:
            await parts.health.check()
        except DependencyUnavailable:
            works = False
    findings = Findings("Redis")
    await check_redis(settings, findings)
    assert works == any("accepts writes" in item.what for item in findings.all if item.level is Level.OK), findings.all
    return works


async def test_all_are_reached_by_the_names_of_their_certificates(sentinel: TlsSentinel, redis_namespace: str) -> None:
    """The replica has another port, and the certificate of neither names the address."""
    settings = sentinel.settings(redis_namespace)
    assert await _works(settings)
    pool = open_pool(redis_address(settings), max_connections=2, decode_responses=True, socket_timeout=1)
    client: Redis = Redis(connection_pool=pool)
    watching: Redis = Redis(host=_NAMED, port=sentinel.port, ssl=True, ssl_ca_certs=str(sentinel.ca.ca_file))
    try:
        before = (await client.info("server"))["run_id"]
        await watching.execute_command("SENTINEL", "FAILOVER", NAME)  # type: ignore[no-untyped-call]  # redis-py has no types here

        async def is_another() -> bool:
            with suppress(DependencyUnavailable), translated():
                await client.set(f"{redis_namespace}:example", "1")
                return bool((await client.info("server"))["run_id"] != before)
            return False

        await until(is_another)
    finally:
        await watching.aclose()
        await client.aclose(close_connection_pool=True)
    assert await _works(settings)


@pytest.mark.parametrize("what", ["another CA", "another host", "plain"])
async def test_a_sentinel_that_is_not_proven_is_not_used(
    sentinel: TlsSentinel, redis_namespace: str, tmp_path: Path, what: str
) -> None:
    url = sentinel.settings(redis_namespace).redis_url.get_secret_value()
    cases: dict[str, dict[str, Any]] = {
        "another CA": {"redis_ca_file": TestCa(tmp_path / "other").ca_file},
        "another host": {"redis_url": SecretStr(url.replace(_NAMED, LOOPBACK))},
        "plain": {"redis_url": SecretStr(url.replace("rediss+", "redis+"))},
    }
    assert not await _works(sentinel.settings(redis_namespace, **cases[what]))


async def test_a_primary_that_is_reported_by_another_name_than_its_own_is_not_used(
    redis_namespace: str, tmp_path: Path
) -> None:
    with _sentinel(tmp_path, LOOPBACK) as reports_address:
        settings = reports_address.settings(redis_namespace)
        assert not await _works(settings)
        url = SecretStr(f"{settings.redis_url.get_secret_value()}?ssl_check_hostname=false")
        assert await _works(reports_address.settings(redis_namespace, redis_url=url))
