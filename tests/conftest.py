"""The servers that tests share: real ones, started when the first test asks for them, stopped when the session ends.

`servers` is one stack for all pytest workers of the session. Each worker has a `redis_server` and a `database_server`
of its own: they start in an instant, and a test may stop them. Names keep tests apart: each has a Redis namespace or a
database of its own, so that nothing has to be wiped.
"""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from deploy.embedded import EmbeddedStack, StackOptions
from tests.harness.ceph import CephEndpoint, require_ceph
from tests.harness.databases import create_database, drop_database
from tests.harness.redis_versions import VERSIONS, RedisServer, redis_server_of
from tests.harness.session import SESSION_DIRECTORY, session_directory
from tests.harness.shared_stack import SharedStack, shared_stack, wait_until_stopped
from tests.harness.undocumented import fail_if_undocumented, undocumented_in_logs

# Authentication has tests of its own; what all other tests send has no key.
os.environ.setdefault("SLUICE_AUTH", "none")

_LONGEST_FIRST = (
    "tests/integration/admission/test_cleaning.py",
    "tests/e2e/abuse/test_queue.py",
    "tests/e2e/abuse/test_connections.py",
    "tests/e2e/test_generated_requests.py",
    "tests/e2e/test_redis_refusals.py",
    "tests/programs/torture/test_short.py",
    "tests/e2e/test_database_faults.py",
    "tests/e2e/test_redis_and_database_outages.py",
    "tests/integration/gateway/test_docs_page.py",
    "tests/programs/bench/test_plan.py",
    "tests/e2e/test_early_metadata.py",
    "tests/contract/object_store/test_garbage.py",
    "tests/e2e/test_verify.py",
    "tests/programs/bench/test_tus.py",
    "tests/contract/redis/test_refusals.py",
    "tests/contract/redis/test_injected_replies.py",
    "tests/e2e/test_store_faults.py",
    "tests/e2e/test_takeover.py",
    "tests/contract/postgres/test_errors.py",
    "tests/contract/postgres/test_contents.py",
    "tests/e2e/test_pgbouncer.py",
    "tests/e2e/test_unexpected_errors.py",
    "tests/e2e/test_direct.py",
    "tests/e2e/test_direct_settings.py",
    "tests/integration/admission/test_model_and_script.py",
    "tests/contract/object_store/test_seal.py",
    "tests/e2e/test_gateway_memory.py",
    "tests/integration/deploy/test_systemd.py",
    "tests/integration/cli/test_up.py",
    "tests/integration/cli/test_upload.py",
    "tests/integration/cli/test_doctor.py",
    "tests/contract/object_store/test_reading.py",
    "tests/e2e/test_recovery.py",
    "tests/e2e/test_keystone.py",
    "tests/e2e/test_disk_faults.py",
    "tests/e2e/test_shutdown.py",
    "tests/contract/contents/test_content_list.py",
    "tests/contract/contents/test_media_columns.py",
    "tests/e2e/test_deletion.py",
    "tests/integration/test_embedded_lifecycle.py",
    "tests/e2e/test_store_outages.py",
    "tests/e2e/test_rolling_restart.py",
    "tests/programs/bench/test_bench.py",
)
"""Files that take longer than twenty seconds."""


# On a busy machine an example may take longer than Hypothesis expects. That says nothing about the code.
settings.register_profile("sluice", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sluice")


def pytest_configure(config: pytest.Config) -> None:
    """Make the session's directory, in the one process that is not a worker of another."""
    if not _is_xdist_worker():
        os.environ[SESSION_DIRECTORY] = tempfile.mkdtemp(prefix="sluice-tests-")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Take what is collected out of the garbage collector's view. It stays until the session ends, and the collector
    would go through its million objects again and again."""
    gc.disable()
    result = yield
    gc.enable()
    gc.freeze()
    return result


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, so that none of them is what a session waits for in the end; unit tests last, which only
    compute."""

    def rank(item: pytest.Item) -> tuple[bool, int]:
        name = item.nodeid.partition("::")[0]
        return "/unit/" in name, _LONGEST_FIRST.index(name) if name in _LONGEST_FIRST else len(_LONGEST_FIRST)

    items.sort(key=rank)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """End with the session's servers. What they wrote stays where a test has failed."""
    if not _is_xdist_worker():
        directory = session_directory()
        wait_until_stopped(directory)
        if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            shutil.rmtree(directory, ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    fail_if_undocumented(report)
    return report


@pytest.fixture(scope="session", autouse=True)
def documented_responses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every response of the gateways that this pytest worker has started is documented."""
    yield
    found = list(undocumented_in_logs([tmp_path_factory.getbasetemp()]))
    assert not found, "\n".join(found)


def _is_xdist_worker() -> bool:
    return "PYTEST_XDIST_WORKER" in os.environ


@pytest.fixture(scope="session")
def servers() -> Iterator[SharedStack]:
    """Redis, PostgreSQL and Swift, for all pytest workers together. Not to be stopped, paused or emptied."""
    with shared_stack(session_directory(), "servers") as stack:
        yield stack


@pytest.fixture(scope="session")
def ceph() -> Iterator[CephEndpoint]:
    """Ceph's object gateway, for all pytest workers together. Skips the test where Ceph is not installed."""
    require_ceph()
    with shared_stack(session_directory(), "ceph") as stack:
        yield stack.ceph


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """Redis alone, as a stack whose process "redis" a test may stop and start again."""
    options = StackOptions(directory=tmp_path_factory.mktemp("redis"), postgres=False, swift=False, fast=True)
    with EmbeddedStack(options) as stack:
        yield stack


@pytest.fixture(scope="session")
def redis_url(redis_server: EmbeddedStack) -> str:
    return redis_server.redis_url


@pytest.fixture(scope="module", params=VERSIONS)
def each_redis(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis for the tests of one file, of each version. Tests may break it, and leave it as it was."""
    with redis_server_of(request.param, tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_namespace() -> str:
    """The first part of every key of one test."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def database_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """PostgreSQL alone."""
    options = StackOptions(directory=tmp_path_factory.mktemp("postgres"), redis=False, swift=False, fast=True)
    with EmbeddedStack(options) as stack:
        yield stack


@pytest.fixture
async def empty_database_url(database_server: EmbeddedStack, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A new database without a table in it, unless the test uses `database_url` too."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    migrated = "database_url" in request.fixturenames
    yield await create_database(database_server.database_url, name, migrated=migrated)
    await drop_database(database_server.database_url, name)


@pytest.fixture
def database_url(empty_database_url: str) -> str:
    """A new database with every migration applied."""
    return empty_database_url
