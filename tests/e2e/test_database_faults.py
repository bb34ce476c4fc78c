"""PostgreSQL responds, but refuses: whatever it refuses with, no upload fails and no request gets a 500.

Every error is a real server's. Errors that only a broken machine would cause are raised by a trigger.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.doctor.check_database import check_database
from deploy.cli.doctor.findings import Finding, Findings, Level
from deploy.embedded import EmbeddedStack
from tests.harness.cell import Cell, eventually
from tests.harness.database_faults import (
    NAMED_BY_FILE,
    NAMED_BY_FILE_ENDS,
    Fault,
    LimitedDatabase,
    commands,
    limited_database,
    locked,
    sessions_killed,
    trigger,
)
from tests.harness.media_samples import sample
from tests.harness.running import running_cell

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

_SECONDS = 120.0

SQLSTATES = (
    *("02000", "03000", "08000", "08003", "08006", "08P01", "0A000", "0LP01", "20000", "21000", "24000", "25000"),
    *("25001", "25006", "25P02", "25P03", "25P04", "26000", "28000", "28P01", "2BP01", "2D000", "2F002", "38000"),
    *("39P01", "3B001", "3D000", "3F000", "40001", "40003", "40P01", "42501", "42601", "42703", "42883", "42P01"),
    *("42P05", "44000", "53000", "53100", "53200", "53300", "53400", "54000", "54001", "55000", "55006", "55P03"),
    *("57000", "57014", "57P01", "57P02", "57P03", "57P05", "58000", "58030", "58P01", "72000", "F0000", "HV000"),
    *("P0001", "P0004", "XX000", "XX001", "XX002", "2200H", "99999", "ZZ123"),
    *("22001", "22003", "22P02", "22P05", "23502", "23503", "23505", "23514"),
)
"""One of each class at least; 99999 and ZZ123 are in no list."""


@dataclass
class Setting:
    """A cell and the database that its test breaks."""

    cell: Cell
    database: LimitedDatabase

    async def ready(self) -> dict[str, str]:
        """The warnings of /readyz, which must respond 200."""
        _, body, _ = await self.cell.call("GET", "/readyz", expect=200)
        warnings: dict[str, str] = body["data"]["warnings"]
        return warnings

    async def findings(self) -> list[Finding]:
        findings = Findings("PostgreSQL")
        await check_database(self.cell.settings, findings)
        return [finding for finding in findings.all if finding.level is Level.ERROR]

    async def begin(self, **more: Any) -> str:
        """An upload whose client has sent everything."""
        data = sample("gif").read_bytes()
        upload = await self.cell.create(len(data), content_type="image/gif", **more)
        await self.cell.until(upload["id"], "admitted")
        await self.cell.put_all(upload, data)
        name: str = upload["id"]
        return name

    async def until_refused(self, upload_id: str) -> None:
        async def refused() -> bool:
            view = await self.cell.status(upload_id)
            assert view["status"] in ("receiving", "processing"), view
            return view["stages"]["persist"]["error_code"] in ("DATABASE_UNAVAILABLE", "DATABASE_REJECTED")

        await eventually(refused, _SECONDS, lambda: f"{upload_id} to wait at persist")


@pytest.fixture
async def setting(own_servers: EmbeddedStack, tmp_path: Path) -> AsyncIterator[Setting]:
    database = await limited_database(own_servers.database_url)
    async with running_cell(own_servers, tmp_path, database_url=database.url) as cell:
        yield Setting(cell, database)


async def test_no_sqlstate_fails_an_upload(setting: Setting) -> None:
    cell = setting.cell
    await cell.upload(sample("gif").read_bytes(), filename="first.gif", content_type="image/gif")
    await setting.database.execute(*NAMED_BY_FILE)
    uploads = {code: await setting.begin(filename=f"{code}.gif") for code in SQLSTATES}
    await asyncio.gather(*map(setting.until_refused, uploads.values()))
    assert len(uploads) >= 25
    await setting.database.execute(*NAMED_BY_FILE_ENDS)
    for upload_id in uploads.values():
        await cell.until(upload_id, "ready", seconds=_SECONDS)
    await cell.until_clean()


@dataclass(frozen=True)
class Case:
    """`sign`: what the error, /readyz and doctor say. `reads`: whether reading contents still works."""

    fault: Fault
    sign: str
    advice: str
    reads: bool = False


CASES: Mapping[str, Case] = {
    "statement_timeout": Case(locked("statement_timeout"), "57014", "RESET statement_timeout"),
    "lock_timeout": Case(locked("lock_timeout"), "55P03", "RESET lock_timeout"),
    "read-only": Case(
        commands(
            ("ALTER DATABASE {name} SET default_transaction_read_only = on",),
            ("ALTER DATABASE {name} RESET default_transaction_read_only",),
        ),
        "25006",
        "RESET default_transaction_read_only",
        reads=True,
    ),
    "connection limit": Case(
        commands(("ALTER ROLE {role} CONNECTION LIMIT 0",), ("ALTER ROLE {role} CONNECTION LIMIT -1",)),
        "53300",
        "CONNECTION LIMIT",
    ),
    "no login": Case(
        commands(("ALTER ROLE {role} NOLOGIN",), ("ALTER ROLE {role} LOGIN",)), "28000", "the user and the password"
    ),
    "revoked": Case(
        commands(("REVOKE ALL ON contents FROM {role}",), ("GRANT ALL ON contents TO {role}",)), "42501", "GRANT"
    ),
    "table missing": Case(
        commands(("ALTER TABLE contents RENAME TO gone",), ("ALTER TABLE gone RENAME TO contents",)),
        "42P01",
        "sluice migrate",
    ),
    "column missing": Case(
        commands(
            ("ALTER TABLE contents RENAME object_key TO gone",), ("ALTER TABLE contents RENAME gone TO object_key",)
        ),
        "42703",
        "sluice migrate",
    ),
    "sessions killed": Case(sessions_killed, "", ""),
    "disk full": Case(commands(*trigger("53100")), "53100", "Free space", reads=True),
    "damaged": Case(commands(*trigger("XX001")), "XX001", "Check its log", reads=True),
    "trigger": Case(commands(*trigger("P0001")), "P0001", "trigger", reads=True),
}


@pytest.mark.parametrize("name", CASES)
async def test_a_fault_is_named_and_survived(setting: Setting, name: str) -> None:
    cell, case = setting.cell, CASES[name]
    first = await cell.upload(sample("gif").read_bytes(), content_type="image/gif")
    assert "database" not in await setting.ready()
    paths = ("/v1/contents", f"/v1/contents/{first['id']}", f"/v1/contents/{first['id']}/segments")
    async with case.fault(setting.database):
        upload_id = await setting.begin()
        await setting.until_refused(upload_id)
        for path in paths:
            status, body, headers = await cell.call("GET", path)
            assert status == (200 if case.reads else 503), body
            if status == 503:
                assert body["error"]["code"] == "DATABASE_UNAVAILABLE"
                assert int(headers["Retry-After"]) > 0
        status, body, headers = await cell.call("DELETE", f"/v1/contents/{first['id']}")
        assert (status, body["error"]["code"]) == (503, "DATABASE_UNAVAILABLE")
        assert case.sign in body["error"]["message"]
        assert int(headers["Retry-After"]) > 0

        async def named() -> bool:
            return case.sign in (await setting.ready()).get("database", "-")

        await eventually(named, _SECONDS, lambda: f"/readyz to name {case.sign}")
        found = await setting.findings()
        assert any(case.sign in finding.what for finding in found), found
        assert any(case.advice in finding.advice for finding in found), found
    await cell.until(upload_id, "ready", seconds=_SECONDS)

    async def well() -> bool:
        return "database" not in await setting.ready()

    await eventually(well, _SECONDS, lambda: "/readyz to name no problem")
    assert await setting.findings() == []
    await cell.call("DELETE", f"/v1/contents/{first['id']}", expect=200)
    await cell.until_clean()


async def test_a_schema_change_disturbs_no_session(setting: Setting) -> None:
    """A cached plan would be invalid (0A000) once a column has another type."""
    cell = setting.cell
    first = await cell.upload(sample("gif").read_bytes(), content_type="image/gif")
    for kind in ("json", "jsonb"):
        await cell.call("GET", f"/v1/contents/{first['id']}", expect=200)
        await setting.database.execute(f"ALTER TABLE contents ALTER COLUMN metadata TYPE {kind} USING metadata::{kind}")
        await cell.call("GET", f"/v1/contents/{first['id']}", expect=200)
    await cell.upload(sample("gif").read_bytes(), content_type="image/gif")
    await cell.until_clean()
