"""Checks that PostgreSQL is reachable, new enough, has an up-to-date schema, and takes what Sluice writes."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from deploy.cli.doctor.database_advice import advice_for
from deploy.cli.doctor.findings import Findings, Level
from deploy.cli.doctor.transport import judge_database_transport
from pipeline.adapters.postgres.health import LEAST_STATEMENT_MS
from pipeline.adapters.postgres.inspection import DatabaseFacts, attempt_write, inspect_database
from pipeline.adapters.postgres.migrate import pending_migrations
from pipeline.core.errors import SluiceError
from pipeline.settings import Settings

OLDEST_VERSION = 13
"""Every version that the PostgreSQL project still supports is newer."""

_TIMEOUTS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "transaction_timeout")
_MANY = 0.9

T = TypeVar("T")


async def check_database(settings: Settings, findings: Findings) -> None:
    """Read version, limits and migrations; write a row in a transaction that is rolled back."""
    url = settings.database_url.get_secret_value()
    facts = await _or_finding(inspect_database(url), findings)
    if facts is None:
        return
    judge_facts(facts, findings)
    judge_database_transport(url, findings)
    pending = await _or_finding(pending_migrations(url), findings)
    if pending is None:
        return
    if not pending:
        findings.ok("its schema is up to date")
    elif settings.database_migrate:
        findings.ok(f"its schema lacks {', '.join(pending)}; gateways and workers apply this before they first use it")
    else:
        findings.error(f"its schema lacks {', '.join(pending)}", "Run: sluice migrate")
    if not pending:
        await _check_writing(url, findings)


def judge_facts(facts: DatabaseFacts, findings: Findings) -> None:
    """Judge what the server says about itself."""
    version = ".".join(map(str, facts.version))
    if facts.version[0] < OLDEST_VERSION:
        findings.error(f"version {version}", f"Sluice needs PostgreSQL {OLDEST_VERSION} or newer.")
    else:
        findings.ok(f"version {version}")
    if facts.pooled:
        findings.ok("reached through a pooler such as PgBouncer; Sluice works with its transaction and session modes")
    if facts.encoding != "UTF8":
        findings.error(
            f"its encoding is {facts.encoding}, which cannot store every file name",
            "Create a database with encoding UTF8 and move the tables there with pg_dump.",
        )
    if facts.standby:
        findings.error("is a standby, which takes no writes", "Set SLUICE_DATABASE_URL to the primary.")
    elif facts.settings.get("default_transaction_read_only") == "on":
        findings.error(
            "is read-only (default_transaction_read_only)", f"{facts.reset_command('default_transaction_read_only')}"
        )
    for setting in _TIMEOUTS:
        limit_ms = facts.milliseconds(setting)
        if 0 < limit_ms < LEAST_STATEMENT_MS:
            findings.error(f"cancels statements: {setting} is {limit_ms} ms", facts.reset_command(setting))
    for what, (used, limit) in facts.connections.items():
        if limit >= 0 and used >= limit * _MANY:
            findings.warning(f"uses {used} of {limit} connections ({what})", advice_for("53300"))


async def _check_writing(url: str, findings: Findings) -> None:
    before = len(findings.all)
    await _or_finding(attempt_write(url), findings)
    if len(findings.all) == before and not any(finding.level is Level.ERROR for finding in findings.all):
        findings.ok("takes what Sluice writes (tried and rolled back)")


async def _or_finding(work: Awaitable[T], findings: Findings) -> T | None:
    try:
        return await work
    except SluiceError as error:
        findings.error(error.message.rstrip("."), advice_for(error.detail.get("sqlstate"), error.message))
        return None
