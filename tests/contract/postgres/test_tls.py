"""PostgreSQL with TLS and a password: `sslmode` of the URL decides what is verified.

The wheel's PostgreSQL was built without TLS, so the Debian package `postgresql` is used.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from deploy.embedded.ports import LOOPBACK, ReservedPort
from deploy.embedded.process import ChildProcess, run_all
from deploy.embedded.users import unprivileged_user
from pipeline.adapters.postgres.contents import PostgresContentRepository
from pipeline.adapters.postgres.inspection import inspect_database
from pipeline.adapters.postgres.migrate import migrate
from pipeline.core.errors import DependencyUnavailable
from tests.harness.certificates import TestCa

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(not PROGRAMS, reason="needs the Debian package postgresql"),
]

PASSWORD = "odd/pass?word#1"


@dataclass(frozen=True)
class TlsDatabase:
    port: int
    ca: TestCa

    def url(self, host: str, mode: str, ca_file: Path | None, password: str = PASSWORD) -> str:
        more = f"&sslrootcert={quote(str(ca_file))}" if ca_file else ""
        return f"postgresql://over_tls:{quote(password, safe='')}@{host}:{self.port}/postgres?sslmode={mode}{more}"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsDatabase]:
    ca, port, user = TestCa(tmp_path_factory.mktemp("ca")), ReservedPort(), unprivileged_user()
    # Not below pytest's directories, which another user cannot enter.
    directory = Path(tempfile.mkdtemp(prefix="sluice-postgres-tls-"))
    data, password = directory / "data", directory / "password"
    password.write_text(PASSWORD)
    files = [Path(shutil.copy(file, directory)) for file in ca.issue("postgres", "localhost")]

    def give_away(*paths: Path) -> None:
        for path in paths:
            if user is not None:
                os.chown(path, user.uid, user.gid)

    def child(program: str, *arguments: str) -> ChildProcess:
        command = [str(PROGRAMS[-1] / program), "-D", str(data), *arguments]
        log = tmp_path_factory.getbasetemp() / f"{program}.log"
        return ChildProcess(
            name=program,
            command=command,
            log_path=log,
            environment={"LANG": "C.UTF-8"},
            is_ready=lambda: b"ready to accept connections" in log.read_bytes(),
            user=user,
        )

    give_away(directory, password, *files)
    made = child("initdb", "-U", "over_tls", "-A", "scram-sha-256", f"--pwfile={password}", "-E", "UTF8", "--no-sync")
    server = child(
        "postgres", "-k", "", "-h", LOOPBACK, "-p", str(port.number), "-c", "ssl=on", "-c", "fsync=off",
        "-c", f"ssl_cert_file={files[0]}", "-c", f"ssl_key_file={files[1]}",
    )  # fmt: skip
    try:
        run_all([made.run_to_end()])
        rules = data / "pg_hba.conf"
        rules.write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        give_away(rules)
        run_all([server.bring_up()])
        yield TlsDatabase(port.number, ca)
    finally:
        server.stop()
        port.release()
        shutil.rmtree(directory, ignore_errors=True)


async def _uses_tls(url: str) -> bool:
    repository = PostgresContentRepository(url, 1)
    try:
        async with repository.pool.connection() as connection:
            return bool(await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
    finally:
        await repository.close()


@pytest.mark.parametrize(("host", "mode"), [("localhost", "verify-full"), ("127.0.0.1", "verify-ca")])
async def test_a_verified_server_is_used(database: TlsDatabase, host: str, mode: str) -> None:
    url = database.url(host, mode, database.ca.ca_file)
    assert await _uses_tls(url)
    await migrate(url)
    assert (await inspect_database(url)).encoding == "UTF8"


async def test_require_verifies_nothing_without_a_ca(database: TlsDatabase) -> None:
    assert await _uses_tls(database.url("127.0.0.1", "require", None))


@pytest.mark.parametrize("what", ["another CA", "another host", "wrong password"])
async def test_another_server_is_refused_and_no_password_is_shown(
    database: TlsDatabase, tmp_path: Path, what: str
) -> None:
    url = {
        "another CA": database.url("localhost", "verify-full", TestCa(tmp_path / "other").ca_file),
        "another host": database.url("127.0.0.1", "verify-full", database.ca.ca_file),
        "wrong password": database.url("localhost", "verify-full", database.ca.ca_file, "wrong/pass?word#1"),
    }[what]
    with pytest.raises(DependencyUnavailable) as refused:
        await _uses_tls(url)
    assert refused.value.code == "DATABASE_UNAVAILABLE"
    assert "word#1" not in str(refused.value.detail)
    assert "odd/" not in str(refused.value.detail)


async def test_without_tls_it_is_not_used(database: TlsDatabase) -> None:
    with pytest.raises(DependencyUnavailable):
        await _uses_tls(database.url("localhost", "disable", None))
