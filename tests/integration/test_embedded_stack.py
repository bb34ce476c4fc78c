"""The embedded stack: real servers come up, answer, survive restarts, and never outlive whoever holds them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from email.message import Message
from email.utils import formatdate
from pathlib import Path

import asyncpg
import pytest
import redis

from deploy.embedded import EmbeddedStack, ServerFailedError, StackError, StackOptions
from deploy.embedded.proc_table import descendants
from deploy.embedded.process import ChildProcess, run_all

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

REPOSITORY = Path(__file__).parents[2]
TEMPAUTH_SERVERS = {"redis", "postgres", "account-server", "container-server", "object-server", "object-updater"} | {
    "proxy-server"
}
# Holds a stack until it is killed; says which servers run and how to reach them.
HOLDER = """
import json, sys
from pathlib import Path
from deploy.embedded import EmbeddedStack, StackOptions
stack = EmbeddedStack(StackOptions(directory=Path(sys.argv[1]), keystone=sys.argv[2] == "keystone", fast=True))
stack.start()
print(json.dumps({"processes": dict(stack.processes()), "database_url": stack.database_url}), flush=True)
sys.stdin.read()
"""


def request(
    method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> tuple[int, Mapping[str, str], bytes]:
    """(status, headers by lower-case name, body) of one request to loopback."""
    prepared = urllib.request.Request(url, data=body, headers=dict(headers or {}), method=method)  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(prepared, timeout=30) as response:
            return response.status, lower(response.headers), response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, lower(error.headers), error.read()


def lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.02)


def select(database_url: str, query: str) -> object:
    """The one value that a query gives."""

    async def fetch() -> object:
        connection = await asyncpg.connect(database_url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(fetch())


def signed_list_buckets(endpoint: str, access_key: str, secret_key: str) -> int:
    """The status of an S3 ListBuckets with a version 2 signature: short enough to be written out here."""
    date = formatdate(usegmt=True)
    digest = hmac.new(secret_key.encode(), f"GET\n\n\n{date}\n/".encode(), hashlib.sha1).digest()
    authorization = f"AWS {access_key}:{base64.b64encode(digest).decode()}"
    return request("GET", f"{endpoint}/", {"Date": date, "Authorization": authorization})[0]


def put_and_get(storage_url: str, token: str) -> None:
    """One object there and back."""
    auth = {"X-Auth-Token": token}
    assert request("PUT", f"{storage_url}/trial", auth)[0] in (201, 202)
    assert request("PUT", f"{storage_url}/trial/object", auth, b"bytes")[0] == 201
    status, _, body = request("GET", f"{storage_url}/trial/object", auth)
    assert (status, body) == (200, b"bytes")


@pytest.fixture(autouse=True, scope="module")
def _no_servers_of_the_callers_own() -> Iterator[None]:
    """These tests are about servers that the stack starts, whatever the shell that runs them has set."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("SLUICE_") and name != "SLUICE_SERVERS_VENV":
                patch.delenv(name)
        yield


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    with EmbeddedStack(StackOptions(directory=tmp_path_factory.mktemp("stack"), fast=True)) as running:
        yield running


@pytest.fixture(scope="module")
def keystone_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    options = StackOptions(
        directory=tmp_path_factory.mktemp("keystone"),
        postgres=False,
        redis=False,
        keystone=True,
        token_cache_seconds=-1,
        fast=True,
    )
    with EmbeddedStack(options) as running:
        yield running


def test_every_server_answers(stack: EmbeddedStack) -> None:
    assert set(stack.processes()) == TEMPAUTH_SERVERS
    with redis.Redis.from_url(stack.redis_url) as client:
        assert client.ping()
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("save") == {"save": ""}
    assert select(stack.database_url, "SELECT current_database()") == "sluice"
    assert Path(f"/proc/{stack.processes()['postgres']}").stat().st_uid != 0, "PostgreSQL runs as root"


def test_swift_takes_a_tempauth_token(stack: EmbeddedStack) -> None:
    status, headers, _ = request(
        "GET", stack.swift.auth_url, {"X-Auth-User": stack.swift.user, "X-Auth-Key": stack.swift.key}
    )
    assert status == 200
    assert headers["x-storage-url"] == stack.swift.storage_url
    put_and_get(stack.swift.storage_url, headers["x-auth-token"])
    assert request("GET", f"{stack.swift.storage_url}/trial", {"X-Auth-Token": "made-up"})[0] == 401


def test_swift_limits_are_told(stack: EmbeddedStack) -> None:
    info = json.loads(request("GET", f"{stack.swift.proxy_url}/info")[2])
    assert {"slo", "s3api", "tempurl", "tempauth"} <= set(info)
    assert info["tempurl"]["allowed_digests"] == ["sha256", "sha512"]
    assert info["slo"]["allow_async_delete"] is False


def test_s3_takes_a_signed_request(stack: EmbeddedStack) -> None:
    swift = stack.swift
    assert signed_list_buckets(swift.s3_endpoint, swift.s3_access_key, swift.s3_secret_key) == 200
    assert signed_list_buckets(swift.s3_endpoint, swift.s3_access_key, "wrong") == 403


def test_the_environment_names_what_runs(stack: EmbeddedStack, tmp_path: Path) -> None:
    environment = stack.environment()
    assert environment["SLUICE_REDIS_URL"] == stack.redis_url
    assert environment["SLUICE_DATABASE_URL"] == stack.database_url
    assert environment["SLUICE_SWIFT_AUTH"] == "v1"
    assert Path(environment["SLUICE_TEMP_DIR"]).is_dir()
    for tool in ("SLUICE_FFMPEG", "SLUICE_FFPROBE"):
        subprocess.run([environment[tool], "-version"], check=True, capture_output=True)


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


def test_two_stacks_run_side_by_side(stack: EmbeddedStack, tmp_path: Path) -> None:
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


def test_a_closed_directory_is_no_obstacle(tmp_path: Path) -> None:
    """Below a directory that only its owner may enter, where the user that PostgreSQL runs as cannot go."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    options = StackOptions(directory=closed / "stack", swift=False, redis=False, fast=True)
    with EmbeddedStack(options) as first:
        select(first.database_url, "CREATE TABLE kept AS SELECT 7 AS number")
        marker = closed / "stack" / "postgres" / "sheltered-at"
        shelter = Path(marker.read_text()) if marker.exists() else None
        assert (shelter is not None) == (os.geteuid() == 0)
    assert (closed / "stack" / "postgres" / "data" / "PG_VERSION").exists(), "the data did not come home"
    assert shelter is None or not shelter.exists()
    with EmbeddedStack(options) as second:
        assert select(second.database_url, "SELECT number FROM kept") == 7


@pytest.mark.parametrize("with_keystone", [False, True], ids=["tempauth", "keystone"])
def test_kill_9_of_the_holder_leaves_nothing_running(tmp_path: Path, with_keystone: bool) -> None:
    arguments = [str(tmp_path), "keystone" if with_keystone else "tempauth"]
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    with holder:
        assert holder.stdout is not None
        told = json.loads(holder.stdout.readline())
        select(told["database_url"], "CREATE TABLE kept AS SELECT 7 AS number")
        family = descendants(holder.pid)
        assert set(told["processes"].values()) < {member.pid for member in family}, "helpers are watched as well"
        holder.kill()
    wait_until(lambda: not any(member.is_alive() for member in family), "the end of every server")

    # And the next stack in that directory finds the data that the killed one had.
    with EmbeddedStack(StackOptions(directory=tmp_path, swift=False, redis=False, fast=True)) as successor:
        assert select(successor.database_url, "SELECT number FROM kept") == 7


def test_stop_leaves_nothing_running(tmp_path: Path) -> None:
    with EmbeddedStack(StackOptions(directory=tmp_path, fast=True)) as running:
        pids = set(running.processes().values())
        family = [member for member in descendants(os.getpid()) if member.pid in pids]
        helpers = [helper for pid in pids for helper in descendants(pid)]
        assert len(family) == len(pids)
        assert helpers, "PostgreSQL has some"
    assert not any(member.is_alive() for member in family + helpers)
    running.stop()  # a second time does no harm


def test_what_the_environment_names_is_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = {
        "SLUICE_REDIS_URL": "redis://elsewhere:1/0",
        "SLUICE_DATABASE_URL": "postgresql://elsewhere:2/theirs",
        "SLUICE_SWIFT_AUTH_URL": "http://elsewhere:3/auth/v1.0",
    }
    for name, value in theirs.items():
        monkeypatch.setenv(name, value)
    with EmbeddedStack(StackOptions(directory=tmp_path)) as idle:
        assert idle.processes() == {}
        assert idle.redis_url == theirs["SLUICE_REDIS_URL"]
        assert idle.environment().items() >= theirs.items()


def test_a_missing_servers_environment_says_what_makes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_SERVERS_VENV", str(tmp_path / "nowhere"))
    stack = EmbeddedStack(StackOptions(directory=tmp_path / "stack"))
    with pytest.raises(StackError, match="make setup-servers"):
        stack.start()
    assert stack.processes() == {}


def child(tmp_path: Path, script: str, **options: float) -> ChildProcess:
    return ChildProcess(
        name="child",
        command=[sys.executable, "-c", script],
        log_path=tmp_path / "child.log",
        environment={},
        is_ready=lambda: False,
        **options,  # type: ignore[arg-type]
    )


def test_a_server_that_dies_says_why(tmp_path: Path) -> None:
    with pytest.raises(ServerFailedError, match=r"(?s)exit status 3.*the disk is on fire"):
        run_all([child(tmp_path, "print('the disk is on fire'); raise SystemExit(3)").bring_up()])


def test_a_server_that_never_answers_is_given_up(tmp_path: Path) -> None:
    deaf = child(tmp_path, "import signal; print('still thinking', flush=True); signal.pause()", ready_seconds=0.5)
    try:
        with pytest.raises(ServerFailedError, match=r"(?s)did not answer within.*still thinking"):
            run_all([deaf.bring_up()])
    finally:
        deaf.stop()
    assert deaf.pid is None


def test_children_are_started_from_the_main_thread_only(tmp_path: Path) -> None:
    """The kernel ties the parent-death signal to the thread that started the child."""
    raised: list[BaseException] = []

    def start() -> None:
        try:
            child(tmp_path, "").start()
        except StackError as error:
            raised.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert len(raised) == 1


def keystone_token(keystone_url: str, identity: Mapping[str, object], scope: Mapping[str, object] | None) -> str:
    body: dict[str, object] = {"identity": identity}
    if scope is not None:
        body["scope"] = scope
    headers = {"Content-Type": "application/json"}
    status, answer, text = request("POST", f"{keystone_url}/auth/tokens", headers, json.dumps({"auth": body}).encode())
    assert status == 201, text
    return answer["x-subject-token"]


def media_token(stack: EmbeddedStack) -> str:
    keystone = stack.keystone
    assert keystone is not None
    user = {"name": keystone.username, "domain": {"name": keystone.user_domain}, "password": keystone.password}
    scope = {"project": {"name": keystone.project, "domain": {"name": keystone.project_domain}}}
    return keystone_token(keystone.auth_url, {"methods": ["password"], "password": {"user": user}}, scope)


def test_the_keystone_proxy_takes_a_keystone_token(keystone_stack: EmbeddedStack) -> None:
    keystone = keystone_stack.keystone
    assert keystone is not None
    asked_before = keystone.count_token_requests()
    put_and_get(keystone.storage_url, media_token(keystone_stack))
    wait_until(lambda: keystone.count_token_requests() == asked_before + 1, "one more token in the access log")


def test_an_application_credential_gives_a_token(keystone_stack: EmbeddedStack) -> None:
    keystone = keystone_stack.keystone
    assert keystone is not None
    credential = {"id": keystone.application_credential_id, "secret": keystone.application_credential_secret}
    identity = {"methods": ["application_credential"], "application_credential": credential}
    put_and_get(keystone.storage_url, keystone_token(keystone.auth_url, identity, None))


def test_a_revoked_token_is_refused_when_none_is_cached(keystone_stack: EmbeddedStack) -> None:
    keystone = keystone_stack.keystone
    assert keystone is not None
    token = media_token(keystone_stack)
    put_and_get(keystone.storage_url, token)
    both = {"X-Auth-Token": token, "X-Subject-Token": token}
    assert request("DELETE", f"{keystone.auth_url}/auth/tokens", both)[0] == 204
    assert request("GET", f"{keystone.storage_url}/trial/object", {"X-Auth-Token": token})[0] == 401


def test_s3_takes_the_ec2_credential(keystone_stack: EmbeddedStack) -> None:
    keystone = keystone_stack.keystone
    assert keystone is not None
    assert signed_list_buckets(keystone.proxy_url, keystone.ec2_access_key, keystone.ec2_secret_key) == 200


def test_the_environment_names_keystone(keystone_stack: EmbeddedStack) -> None:
    environment = keystone_stack.environment()
    assert environment["SLUICE_SWIFT_AUTH"] == "v3"
    assert environment["SLUICE_SWIFT_AUTH_URL"].endswith("/v3")
    assert environment["SLUICE_SWIFT_REGION"] == "RegionOne"
