"""A PostgreSQL primary and a synchronous streaming standby, of the Debian package `postgresql`."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from deploy.embedded.ports import LOOPBACK, PortPool
from deploy.embedded.process import ChildProcess, run_all
from deploy.embedded.users import unprivileged_user
from tests.harness.cell import eventually
from tests.harness.system_packages import REQUIRE_SERVERS

USER: Final = "sluice"
DATABASE: Final = "fail_over"
_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
_SECONDS = 60.0
_OPTIONS = ("-k", "", "-h", LOOPBACK, "-c", "fsync=off", "-c", "wal_level=replica", "-c", "hot_standby=on")


class Pair:
    """Two servers on loopback, which trust every client."""

    def __init__(self, directory: Path, logs: Path) -> None:
        self._directory = directory
        self._logs = logs
        self._user = unprivileged_user()
        self._ports = PortPool()
        self.primary = self._server("primary")
        self.standby = self._server("standby")

    @property
    def url(self) -> str:
        """Of both, the first primary first."""
        hosts = ",".join(f"{LOOPBACK}:{self._ports.port(name)}" for name in ("primary", "standby"))
        return f"postgresql://{USER}@{hosts}/{DATABASE}"

    def _one(self, name: str, database: str) -> str:
        return f"postgresql://{USER}@{LOOPBACK}:{self._ports.port(name)}/{database}"

    def _child(self, name: str, program: str, *arguments: str) -> ChildProcess:
        log = self._logs / f"{name}-{program}.log"
        return ChildProcess(
            name=f"{name}-{program}",
            command=[str(_PROGRAMS[-1] / program), "-D", str(self._directory / name), *arguments],
            log_path=log,
            environment={"LANG": "C.UTF-8"},
            is_ready=lambda: any(
                text in log.read_bytes() for text in (b"to accept connections", b"accept read-only connections")
            ),
            user=self._user,
            stop_signal=signal.SIGQUIT,
        )

    def _server(self, name: str) -> ChildProcess:
        return self._child(name, "postgres", "-p", str(self._ports.port(name)), *_OPTIONS)

    def start(self) -> None:
        if self._user is not None:
            os.chown(self._directory, self._user.uid, self._user.gid)
        run_all([self._child("primary", "initdb", "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync").run_to_end()])
        run_all([self.primary.bring_up()])
        copy = ("-h", LOOPBACK, "-p", str(self._ports.port("primary")), "-U", USER, "-R", "-X", "stream", "-c", "fast")
        run_all([self._child("standby", "pg_basebackup", *copy).run_to_end()])
        run_all([self.standby.bring_up()])

    async def synchronise(self) -> None:
        """Create the database, and let each commit wait for the standby from now on."""
        connection = await asyncpg.connect(self._one("primary", "postgres"))
        try:

            async def streams() -> bool:
                return bool(await connection.fetchval("SELECT count(*) FROM pg_stat_replication"))

            await eventually(streams, _SECONDS, lambda: "the standby to stream")
            await connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            await connection.execute("SELECT pg_reload_conf()")
            await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close()

    async def promote(self) -> None:
        connection = await asyncpg.connect(self._one("standby", "postgres"))
        try:
            assert await connection.fetchval("SELECT pg_promote()")
        finally:
            await connection.close()

    def stop(self) -> None:
        for server in (self.standby, self.primary):
            server.stop()
        self._ports.release_all()


@contextmanager
def postgres_pair(logs: Path) -> Iterator[Pair]:
    """Run one while the block runs. Skips the test where the package is not installed."""
    if not _PROGRAMS:
        (pytest.fail if os.environ.get(REQUIRE_SERVERS) else pytest.skip)("needs the Debian package postgresql")
    # Not below pytest's directories, which another user cannot enter.
    directory = Path(tempfile.mkdtemp(prefix="sluice-postgres-pair-"))
    pair = Pair(directory, logs)
    try:
        pair.start()
        yield pair
    finally:
        pair.stop()
        shutil.rmtree(directory, ignore_errors=True)
