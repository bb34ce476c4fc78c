"""The life of an embedded stack: it starts only servers that the environment does not name, reports why a server does
not start, and never outlives the process that holds it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import psutil
import pytest

from deploy.embedded import EmbeddedStack, ServerFailedError, StackError, StackOptions
from deploy.embedded.process import ChildProcess, run_all
from deploy.embedded.process_tree import descendants, is_alive, kill
from tests.integration.embedded_requests import select, wait_until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("no_servers_of_the_callers_own"),
]

REPOSITORY = Path(__file__).parents[2]
# Holds a stack until it is killed. Prints which servers run and how to reach them.
HOLDER = """
import json, sys
from pathlib import Path
from deploy.embedded import EmbeddedStack, StackOptions
stack = EmbeddedStack(StackOptions(directory=Path(sys.argv[1]), keystone=sys.argv[2] == "keystone", fast=True))
stack.start()
print(json.dumps({"processes": dict(stack.processes()), "database_url": stack.database_url}), flush=True)
sys.stdin.read()
"""


def test_it_works_in_a_directory_that_only_its_owner_may_enter(tmp_path: Path) -> None:
    """The user that PostgreSQL runs as cannot enter that directory."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    options = StackOptions(directory=closed / "stack", swift=False, redis=False, fast=True)
    with EmbeddedStack(options) as first:
        select(first.database_url, "CREATE TABLE kept AS SELECT 7 AS number")
        marker = closed / "stack" / "postgres" / "sheltered-at"
        shelter = Path(marker.read_text()) if marker.exists() else None
        assert (shelter is not None) == (os.geteuid() == 0)
    assert (closed / "stack" / "postgres" / "data" / "PG_VERSION").exists(), "the data was not moved back"
    assert shelter is None or not shelter.exists()
    with EmbeddedStack(options) as second:
        assert select(second.database_url, "SELECT number FROM kept") == 7


def test_a_cluster_that_trusted_every_client_demands_passwords_from_now_on(tmp_path: Path) -> None:
    """As one of an earlier release."""
    options = StackOptions(directory=tmp_path, swift=False, redis=False, fast=True)
    with EmbeddedStack(options) as first:
        select(first.database_url, "CREATE TABLE kept AS SELECT 7 AS number")
        select(first.database_url, "ALTER ROLE sluice PASSWORD NULL")
    (tmp_path / "postgres" / "data" / "pg_hba.conf").write_text("host all all 127.0.0.1/32 trust\n")

    def is_refused(database_url: str) -> bool:
        try:
            select(database_url, "SELECT 1")
        except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError):
            return True
        return False

    with EmbeddedStack(options) as second:
        assert select(second.database_url, "SELECT number FROM kept") == 7
        url = urlsplit(second.database_url)
        without = url._replace(netloc=f"sluice:wrong@{url.hostname}:{url.port}").geturl()
        wait_until(lambda: is_refused(without), "the end of trust")
        assert select(second.database_url, "SELECT number FROM kept") == 7


@pytest.mark.parametrize("with_keystone", [False, True], ids=["tempauth", "keystone"])
def test_sigkill_of_the_holder_leaves_nothing_running(tmp_path: Path, with_keystone: bool) -> None:
    arguments = [str(tmp_path), "keystone" if with_keystone else "tempauth"]
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    with holder:
        assert holder.stdout is not None
        printed = json.loads(holder.stdout.readline())
        select(printed["database_url"], "CREATE TABLE kept AS SELECT 7 AS number")
        family = descendants(holder.pid)
        assert set(printed["processes"].values()) < {member.pid for member in family}, "the family has no helpers"
        holder.kill()
    wait_until(lambda: not any(is_alive(member) for member in family), "the end of every server")

    # The next stack in that directory finds the data of the killed one.
    with EmbeddedStack(StackOptions(directory=tmp_path, swift=False, redis=False, fast=True)) as successor:
        assert select(successor.database_url, "SELECT number FROM kept") == 7


def test_stop_leaves_nothing_running(tmp_path: Path) -> None:
    with EmbeddedStack(StackOptions(directory=tmp_path, fast=True)) as running:
        pids = set(running.processes().values())
        family = [member for member in descendants(os.getpid()) if member.pid in pids]
        helpers = [helper for pid in pids for helper in descendants(pid)]
        assert len(family) == len(pids)
        assert helpers, "PostgreSQL has no helpers"
    assert not any(is_alive(member) for member in family + helpers)
    running.stop()  # idempotent


def test_a_server_that_the_environment_names_is_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_error_of_a_missing_servers_environment_says_how_to_create_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_SERVERS_VENV", str(tmp_path / "nowhere"))
    stack = EmbeddedStack(StackOptions(directory=tmp_path / "stack"))
    with pytest.raises(StackError, match="make setup-servers"):
        stack.start()
    assert stack.processes() == {}


HELPER = "import signal; print('helper runs', flush=True); signal.pause()"
FORKING_SERVER = f"""
import signal, subprocess, sys
subprocess.Popen([sys.executable, "-c", {HELPER!r}])
signal.pause()
"""


def test_stop_kills_a_helper_that_outlives_its_server(tmp_path: Path) -> None:
    server = child(tmp_path, FORKING_SERVER)
    server.is_ready = lambda: "helper runs" in server.log_path.read_text()
    server.stop_seconds = 0.5
    run_all([server.bring_up()])
    assert server.pid is not None
    (helper,) = descendants(server.pid)
    assert is_alive(helper)
    server.stop()
    assert not is_alive(helper)


def test_a_process_that_has_ended_is_not_alive_and_has_no_descendants() -> None:
    """Neither as a zombie nor after its parent has reaped it."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    process = psutil.Process(ended.pid)
    wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE, "the end of the process")
    assert not is_alive(process)
    assert descendants(ended.pid) == []
    ended.wait()
    assert not is_alive(process)
    assert descendants(ended.pid) == []
    kill(process)


def child(tmp_path: Path, script: str, ready_seconds: float = 90.0) -> ChildProcess:
    return ChildProcess(
        name="child",
        command=[sys.executable, "-c", script],
        log_path=tmp_path / "child.log",
        environment={},
        is_ready=lambda: False,
        ready_seconds=ready_seconds,
    )


def test_the_error_of_a_server_that_died_has_its_log(tmp_path: Path) -> None:
    with pytest.raises(ServerFailedError, match=r"(?s)exit status 3.*the disk is on fire"):
        run_all([child(tmp_path, "print('the disk is on fire'); raise SystemExit(3)").bring_up()])


def test_waiting_for_a_server_that_never_responds_ends(tmp_path: Path) -> None:
    deaf = child(tmp_path, "import signal; print('still thinking', flush=True); signal.pause()", ready_seconds=0.5)
    try:
        with pytest.raises(ServerFailedError, match=r"(?s)did not respond within.*still thinking"):
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
