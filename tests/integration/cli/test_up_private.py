"""What `sluice up` writes is for its user only, and nobody without a password reaches its servers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import psutil
import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from tests.harness.up import Up

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def open_to_others(top: Path) -> dict[str, str]:
    """Everything below `top` and itself that another user may read, write or enter."""
    found = {}
    for path in (top, *top.rglob("*")):
        try:
            facts = path.lstat()
        except FileNotFoundError:
            continue  # servers are running
        if not stat.S_ISLNK(facts.st_mode) and facts.st_mode & 0o077:
            found[str(path)] = oct(facts.st_mode)
    return found


@pytest.fixture(scope="module", params=["swift", "filesystem"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    home = tmp_path_factory.mktemp("up")
    before = os.umask(0)  # what the user has set must not matter
    try:
        started = Up(home / "run", "--demo", "--directory", str(home / "data"), SLUICE_STORE=request.param)
    finally:
        os.umask(before)
    try:
        started.wait_for("Serving until")
        yield started
    finally:
        started.close()


@pytest.fixture
def variables(run: Up) -> dict[str, str]:
    lines = run.shell("env").stdout.splitlines()
    return dict(line.partition("=")[::2] for line in lines if line.startswith("SLUICE_"))


def test_only_its_user_reads_what_it_writes(run: Up) -> None:
    data = run.environment_file.parent
    assert len(list(data.rglob("*"))) > 30
    assert open_to_others(data) == {}


def test_no_password_is_printed_logged_or_in_a_command_line(run: Up, variables: dict[str, str]) -> None:
    data = run.environment_file.parent
    secrets = set(json.loads((data / "passwords.json").read_text()).values())
    secrets |= {variables["SLUICE_KEY"], variables["SLUICE_SIGNING_SECRET"]}
    assert len(secrets) == 10
    command_lines = [" ".join(child.cmdline()) for child in psutil.Process(run.process.pid).children(recursive=True)]
    assert any("redis-server" in line for line in command_lines)
    logs = [path.read_text("utf-8", "replace") for path in (data / "logs").iterdir()]
    for text in (*run.lines, *command_lines, *logs):
        assert not [secret for secret in secrets if secret in text], text[:500]


async def test_redis_and_postgresql_demand_their_passwords(run: Up, variables: dict[str, str]) -> None:
    redis_port = urlsplit(variables["SLUICE_REDIS_URL"]).port
    for login in ("", "default:wrong@", "default:@"):
        client: Redis = Redis.from_url(f"redis://{login}127.0.0.1:{redis_port}/0")
        with pytest.raises(AuthenticationError):
            await client.ping()
        await client.aclose()
    database = urlsplit(variables["SLUICE_DATABASE_URL"])
    for login in ("sluice", "sluice:wrong", "postgres"):
        with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)):
            await asyncpg.connect(f"postgresql://{login}@127.0.0.1:{database.port}/sluice")
    assert await asyncio.wait_for(_version(variables["SLUICE_DATABASE_URL"]), 10)


async def _version(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        return str(await connection.fetchval("SELECT version()"))
    finally:
        await connection.close()


async def test_swift_demands_its_password(run: Up, variables: dict[str, str]) -> None:
    if variables["SLUICE_STORE"] != "swift":
        pytest.skip("it runs no Swift")
    async with aiohttp.ClientSession() as session:
        for key, status in ((variables["SLUICE_SWIFT_PASSWORD"], 200), ("mediapass", 401), ("", 401)):
            headers = {"X-Auth-User": variables["SLUICE_SWIFT_USER"], "X-Auth-Key": key}
            async with session.get(variables["SLUICE_SWIFT_AUTH_URL"], headers=headers) as response:
                assert response.status == status


def test_the_passwords_stay_those_of_the_directory(run: Up) -> None:
    """The last test: it ends the run."""
    data = run.environment_file.parent
    before = (data / "passwords.json").read_text()
    run.process.send_signal(signal.SIGINT)
    assert run.end() == 0
    assert open_to_others(data) == {}
    again = Up(data.parent / "again", "--directory", str(data), SLUICE_STORE="filesystem")
    try:
        again.wait_for("watch uploads")
        assert (data / "passwords.json").read_text() == before
        assert again.shell("sluice doctor").returncode == 0
    finally:
        again.close()
