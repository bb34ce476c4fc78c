"""Checks that PostgreSQL is reachable, new enough, and has an up-to-date schema."""

from __future__ import annotations

import asyncpg

from deploy.cli.doctor.findings import RESPONSE_SECONDS, Findings
from pipeline.adapters.postgres.migrate import pending_migrations
from pipeline.core.errors import SluiceError
from pipeline.settings import Settings

OLDEST_VERSION = 13
"""Every version that the PostgreSQL project still supports is newer."""


async def check_database(settings: Settings, findings: Findings) -> None:
    """Read the version and the list of migrations; write nothing."""
    try:
        connection = await asyncpg.connect(
            settings.database_url.get_secret_value(), timeout=RESPONSE_SECONDS, command_timeout=RESPONSE_SECONDS
        )
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError) as error:
        findings.error(f"refuses the login: {error}", "Check the user and the password in SLUICE_DATABASE_URL.")
        return
    except asyncpg.InvalidCatalogNameError as error:
        findings.error(str(error), "Create the database that SLUICE_DATABASE_URL names: createdb NAME")
        return
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        findings.error(f"cannot be reached: {error}", "Check that it is running and that SLUICE_DATABASE_URL is right.")
        return
    try:
        version = connection.get_server_version()
        text = f"version {version.major}.{version.minor}"
        if version.major < OLDEST_VERSION:
            findings.error(text, f"Sluice needs PostgreSQL {OLDEST_VERSION} or newer.")
        else:
            findings.ok(text)
    finally:
        await connection.close()
    await _check_schema(settings, findings)


async def _check_schema(settings: Settings, findings: Findings) -> None:
    try:
        pending = await pending_migrations(settings.database_url.get_secret_value())
    except SluiceError as error:
        findings.error(
            f"its schema cannot be read: {error}", "Check that the user in SLUICE_DATABASE_URL owns the schema."
        )
        return
    if not pending:
        findings.ok("its schema is up to date")
    elif settings.database_migrate:
        findings.ok(f"its schema lacks {', '.join(pending)}; gateways and workers apply this before they first use it")
    else:
        findings.error(f"its schema lacks {', '.join(pending)}", "Run: sluice migrate")
