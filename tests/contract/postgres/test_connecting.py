"""URLs with several hosts, and servers that have become read-only."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from deploy.embedded.ports import LOOPBACK
from pipeline.adapters.postgres.connecting import Hosts, one_by_one
from pipeline.adapters.postgres.pool import LazyPool
from pipeline.core.errors import DependencyUnavailable

pytestmark = pytest.mark.contract


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that never responds, as one whose machine is lost."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        listener.setblocking(False)
        yield listener


async def test_a_host_that_does_not_respond_leaves_time_for_the_others(
    silent: socket.socket, empty_database_url: str
) -> None:
    hosts = Hosts(empty_database_url.replace("@", f"@{LOOPBACK}:{silent.getsockname()[1]},"))
    await (await hosts.connect(timeout=4)).close()
    silent.accept()[0].close()
    await (await hosts.connect(timeout=4)).close()
    with pytest.raises(BlockingIOError):  # the host that was used last is asked first
        silent.accept()


async def test_no_connection_to_a_server_that_refuses_writes_is_used_again(empty_database_url: str) -> None:
    pool = LazyPool(empty_database_url, 1)
    try:
        async with pool.connection() as connection:
            await connection.execute("CREATE TABLE kept (number int)")
            first = connection.get_server_pid()
        async with pool.connection() as connection:
            assert connection.get_server_pid() == first
        with pytest.raises(DependencyUnavailable) as refused:
            await _write_where_it_is_refused(pool)
        assert refused.value.detail["sqlstate"] == "25006"
        async with pool.connection() as connection:
            assert connection.get_server_pid() != first
    finally:
        pool.terminate()


async def _write_where_it_is_refused(pool: LazyPool) -> None:
    async with pool.connection() as connection:
        await connection.execute("SET TRANSACTION READ ONLY")
        await connection.execute("INSERT INTO kept VALUES (1)")


def test_a_url_for_each_host() -> None:
    assert one_by_one("postgresql://u:p@a:1/d?sslmode=require") == ["postgresql://u:p@a:1/d?sslmode=require"]
    assert one_by_one("postgresql://u:p%40@a:1,[::1]:2/d?sslmode=require") == [
        "postgresql://u:p%40@a:1/d?sslmode=require&target_session_attrs=primary",
        "postgresql://u:p%40@[::1]:2/d?sslmode=require&target_session_attrs=primary",
    ]
    assert one_by_one("postgresql://a,b/d?target_session_attrs=any") == [
        "postgresql://a/d?target_session_attrs=any",
        "postgresql://b/d?target_session_attrs=any",
    ]
