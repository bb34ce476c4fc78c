"""A Redis of each version that tests run on: the oldest one that Sluice supports, from the wheel, and the one on PATH,
which is Debian's 7.0 in CI."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis.asyncio import Redis

from deploy.cli.doctor.redis_advice import rights
from deploy.embedded.layout import Layout
from deploy.embedded.ports import LOOPBACK, PortPool
from deploy.embedded.process import run_all
from deploy.embedded.redis import redis_process, redis_server_path

VERSIONS = ("redis-6", "redis-7")
USER, PASSWORD = "sluice", "secret"


@dataclass(frozen=True)
class RedisServer:
    """One server. Its default user needs no password and may do everything."""

    version: str
    port: int

    @property
    def url(self) -> str:
        """As the default user."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[Redis]:
        """The default user's client."""
        client: Redis = Redis.from_url(self.url, decode_responses=True)
        try:
            yield client
        finally:
            await client.aclose()

    async def restrict(self, client: Redis, namespace: str, *rules: str) -> str:
        """The URL of a user that has the rights that `sluice doctor` advises, and `rules` after them."""
        allowed = rights(namespace).split(" ")
        await client.execute_command("ACL", "SETUSER", USER, "reset", "on", f">{PASSWORD}", *allowed, *rules)  # type: ignore[no-untyped-call]  # redis-py has no types here
        return f"redis://{USER}:{PASSWORD}@{LOOPBACK}:{self.port}/0"


def program_of(version: str) -> str:
    """The executable. Skips the test where that version is not installed."""
    program = redis_server_path() if version == "redis-6" else shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server is installed (apt-get install redis-server)")
    return program


def tls_program() -> str:
    """A redis-server that was built with TLS; the wheel's was not. Skips the test where there is none."""
    program = program_of("redis-7")
    told = subprocess.run([program, "--tls-port", "x"], capture_output=True, text=True, check=False, timeout=10)
    if "Bad directive" in told.stdout + told.stderr:
        pytest.skip("redis-server was built without TLS")
    return program


@contextmanager
def redis_server_of(version: str, directory: Path, *options: str) -> Iterator[RedisServer]:
    """Run a server while the block runs. Skips the test where that version is not installed."""
    program = program_of(version)
    layout, ports = Layout(directory), PortPool()
    layout.make()
    process = redis_process(layout, ports.port("redis"), program, options)
    try:
        run_all([process.bring_up()])
        yield RedisServer(version, ports.port("redis"))
    finally:
        process.stop()
        ports.release_all()
