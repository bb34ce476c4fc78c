"""Redis and its Sentinel with TLS: both are verified, the primary under the name that the Sentinel reports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import SecretStr

from deploy.cli.doctor.check_redis import check_redis
from deploy.cli.doctor.findings import Findings, Level
from deploy.embedded.ports import LOOPBACK, PortPool
from deploy.embedded.process import ChildProcess, run_all
from pipeline.bootstrap.redis import redis_parts
from pipeline.core.errors import DependencyUnavailable
from pipeline.settings import Settings
from tests.harness.certificates import TestCa
from tests.harness.redis_versions import tls_program
from tests.harness.sentinel import NAME, PASSWORD

pytestmark = pytest.mark.contract

_NAMED: Final = "localhost"
"""What the certificates are for; they do not name the address."""


@dataclass(frozen=True)
class TlsSentinel:
    """A Sentinel and the primary that it watches."""

    port: int
    ca: TestCa

    def settings(self, namespace: str, **changes: Any) -> Settings:
        url = SecretStr(f"rediss+sentinel://:{PASSWORD}@{_NAMED}:{self.port}/{NAME}/0")
        values: dict[str, Any] = {"redis_url": url, "redis_namespace": namespace, "redis_ca_file": self.ca.ca_file}
        return Settings(**{**values, **changes})


@contextmanager
def _sentinel(directory: Path, reports: str) -> Iterator[TlsSentinel]:
    """Run both while the block runs. `reports`: the host of the primary, as docs/high-availability.md lets it be."""
    program, ports, ca = tls_program(), PortPool(), TestCa(directory / "ca")
    certificate, key = ca.issue("redis", _NAMED)
    names = "yes" if reports == _NAMED else "no"
    common = f"""port 0
bind {LOOPBACK}
dir {directory}
tls-cert-file {certificate}
tls-key-file {key}
tls-ca-cert-file {ca.ca_file}
tls-auth-clients no
tls-replication yes
"""
    primary = f"""tls-port {ports.port("redis")}
requirepass {PASSWORD}
"""
    sentinel = f"""tls-port {ports.port("sentinel")}
sentinel resolve-hostnames {names}
sentinel announce-hostnames {names}
sentinel monitor {NAME} {reports} {ports.port("redis")} 1
sentinel auth-pass {NAME} {PASSWORD}
"""
    with ExitStack() as exits:
        exits.callback(ports.release_all)
        for child in (
            _process(directory, "redis", program, [], common + primary, "Ready to accept connections"),
            _process(directory, "sentinel", program, ["--sentinel"], common + sentinel, "+monitor"),
        ):
            exits.callback(child.stop)
            run_all([child.bring_up()])
        yield TlsSentinel(ports.port("sentinel"), ca)


def _process(
    directory: Path, name: str, program: str, options: list[str], configuration: str, ready: str
) -> ChildProcess:
    file, log = directory / f"{name}.conf", directory / f"{name}.log"
    file.write_text(configuration)
    return ChildProcess(
        name=name,
        command=[program, str(file), *options],
        log_path=log,
        environment={},
        is_ready=lambda: ready in log.read_text(),
    )


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


async def test_both_are_reached_by_the_names_of_their_certificates(sentinel: TlsSentinel, redis_namespace: str) -> None:
    assert await _works(sentinel.settings(redis_namespace))


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
