"""All of Sluice with PostgreSQL behind a real PgBouncer."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import asyncpg
import pytest

from deploy.cli.doctor.check_database import check_database
from deploy.cli.doctor.findings import Findings, Level
from pipeline.settings import Settings
from tests.harness.media_samples import sample
from tests.harness.pgbouncer import PGBOUNCER, pgbouncer
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(PGBOUNCER is None, reason="needs the Debian package pgbouncer"),
]

_UPLOADS = 12


async def _database(servers: Servers) -> str:
    """The name of a new database. The cell removes it."""
    name = f"pooled_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(servers.database_url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return name


@pytest.mark.parametrize("mode", ["transaction", "session"])
async def test_uploads_lists_and_deletions_work_through_pgbouncer(servers: Servers, tmp_path: Path, mode: str) -> None:
    data = sample("gif").read_bytes()
    name = await _database(servers)
    with pgbouncer(servers.database_url, mode) as base:
        async with running_cell(servers, tmp_path, database_url=f"{base}/{name}") as cell:
            uploads = await asyncio.gather(*(cell.upload(data, content_type="image/gif") for _ in range(_UPLOADS)))

            async def use(content_id: str) -> None:
                for path in (f"/v1/contents/{content_id}", f"/v1/contents/{content_id}/segments", "/v1/contents"):
                    await cell.call("GET", path, expect=200)
                await cell.call("DELETE", f"/v1/contents/{content_id}", expect=200)

            await asyncio.gather(*(use(upload["id"]) for upload in uploads))
            _, ready, _ = await cell.call("GET", "/readyz", expect=200)
            assert "database" not in ready["data"]["warnings"]
            findings = Findings("PostgreSQL")
            await check_database(cell.settings, findings)
            assert {finding.level for finding in findings.all} == {Level.OK}, findings.all
            assert any("pooler" in finding.what for finding in findings.all)
            await cell.until_clean()


async def test_statement_mode_is_reported(servers: Servers) -> None:
    """Sluice cannot work with it, since it needs transactions."""
    with pgbouncer(servers.database_url, "statement") as base:
        findings = Findings("PostgreSQL")
        await check_database(Settings(database_url=f"{base}/sluice"), findings)
    assert [finding.level for finding in findings.all] == [Level.ERROR]
    assert "statement pooling mode" in findings.all[0].what
    assert "pool_mode = transaction" in findings.all[0].advice
