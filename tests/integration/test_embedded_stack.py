"""The embedded stack: servers start, respond, keep their data over a restart, and coexist with a second stack."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from deploy.embedded import EmbeddedStack, StackOptions
from deploy.embedded.ffmpeg import ffmpeg_path
from tests.harness.ffprobe import ffprobe_path
from tests.integration.embedded_requests import put_and_get, request, select, signed_list_buckets

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("no_servers_of_the_callers_own"),
]

TEMPAUTH_SERVERS = {"redis", "postgres", "account-server", "container-server", "object-server", "object-updater"} | {
    "proxy-server"
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    with EmbeddedStack(StackOptions(directory=tmp_path_factory.mktemp("stack"), fast=True)) as running:
        yield running


def test_every_server_responds(stack: EmbeddedStack) -> None:
    assert set(stack.processes()) == TEMPAUTH_SERVERS
    with redis.Redis.from_url(stack.redis_url) as client:
        assert client.ping()
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("save") == {"save": ""}
    assert select(stack.database_url, "SELECT current_database()") == "sluice"
    assert Path(f"/proc/{stack.processes()['postgres']}").stat().st_uid != 0, "PostgreSQL runs as root"


def test_swift_accepts_a_tempauth_token(stack: EmbeddedStack) -> None:
    status, headers, _ = request(
        "GET", stack.swift.auth_url, {"X-Auth-User": stack.swift.user, "X-Auth-Key": stack.swift.key}
    )
    assert status == 200
    assert headers["x-storage-url"] == stack.swift.storage_url
    put_and_get(stack.swift.storage_url, headers["x-auth-token"])
    assert request("GET", f"{stack.swift.storage_url}/trial", {"X-Auth-Token": "made-up"})[0] == 401


def test_swift_reports_its_features_and_limits(stack: EmbeddedStack) -> None:
    info = json.loads(request("GET", f"{stack.swift.proxy_url}/info")[2])
    assert {"slo", "s3api", "tempurl", "tempauth"} <= set(info)
    assert info["tempurl"]["allowed_digests"] == ["sha256", "sha512"]
    assert info["slo"]["allow_async_delete"] is False


def test_the_s3_api_accepts_a_signed_request(stack: EmbeddedStack) -> None:
    swift = stack.swift
    assert signed_list_buckets(swift.s3_endpoint, swift.s3_access_key, swift.s3_secret_key) == 200
    assert signed_list_buckets(swift.s3_endpoint, swift.s3_access_key, "wrong") == 403


def test_the_environment_names_the_running_servers(stack: EmbeddedStack, tmp_path: Path) -> None:
    environment = stack.environment()
    assert environment["SLUICE_REDIS_URL"] == stack.redis_url
    assert environment["SLUICE_DATABASE_URL"] == stack.database_url
    assert environment["SLUICE_SWIFT_AUTH"] == "v1"
    assert Path(environment["SLUICE_TEMP_DIR"]).is_dir()


def test_the_tools_that_generate_samples_run() -> None:
    for tool in (ffmpeg_path(), ffprobe_path()):
        subprocess.run([tool, "-version"], check=True, capture_output=True)


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGKILL])
def test_redis_keeps_its_data_over_a_restart(stack: EmbeddedStack, signal_number: int) -> None:
    url, first_pid = stack.redis_url, stack.processes()["redis"]
    with redis.Redis.from_url(url) as client:
        client.set("kept", int(signal_number))
    stack.stop_process("redis", signal_number)
    assert "redis" not in stack.processes()
    stack.start_process("redis")
    assert stack.redis_url == url
    assert stack.processes()["redis"] != first_pid
    with redis.Redis.from_url(url) as client:
        assert client.get("kept") == str(int(signal_number)).encode()


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL])
def test_postgres_keeps_its_data_over_a_restart(stack: EmbeddedStack, signal_number: int) -> None:
    table = f"kept_{int(signal_number)}"
    select(stack.database_url, f"CREATE TABLE {table} AS SELECT 7 AS number")
    stack.stop_process("postgres", signal_number)
    stack.start_process("postgres")
    assert select(stack.database_url, f"SELECT number FROM {table}") == 7  # noqa: S608


def test_two_stacks_run_at_the_same_time(stack: EmbeddedStack, tmp_path: Path) -> None:
    with EmbeddedStack(StackOptions(directory=tmp_path, fast=True)) as second:
        assert not set(second.processes().values()) & set(stack.processes().values())
        for name in ("redis_url", "database_url"):
            assert getattr(second, name) != getattr(stack, name)
        for one in (stack, second):
            assert request("GET", f"{one.swift.proxy_url}/healthcheck")[0] == 200
            with redis.Redis.from_url(one.redis_url) as client:
                client.set("whose", one.redis_url)
        with redis.Redis.from_url(stack.redis_url) as client:
            assert client.get("whose") == stack.redis_url.encode()
