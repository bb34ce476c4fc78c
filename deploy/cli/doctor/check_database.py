"""PostgreSQL: reachable, new enough, its schema up to date."""

from __future__ import annotations

import asyncpg

from deploy.cli.doctor.findings import Findings
from pipeline.adapters.postgres.migrate import pending_migrations
from pipeline.core.errors import SluiceError
from pipeline.settings import Settings

OLDEST_VERSION = 13
"""The oldest that its makers still mend is newer than this."""


async def check_database(settings: Settings, findings: Findings) -> None:
    """Reads the version and the list of migrations; writes nothing."""
    try:
        connection = await asyncpg.connect(settings.database_url.get_secret_value(), timeout=5, command_timeout=5)
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError) as error:
        findings.error(f"refuses us: {error}", "Check user and password in SLUICE_DATABASE_URL.")
        return
    except asyncpg.InvalidCatalogNameError as error:
        findings.error(str(error), "Create it: createdb NAME; SLUICE_DATABASE_URL says which one.")
        return
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        findings.error(f"cannot be reached: {error}", "Is it running? SLUICE_DATABASE_URL says where it is looked for.")
        return
    try:
        version = connection.get_server_version()
        said = f"version {version.major}.{version.minor}"
        if version.major < OLDEST_VERSION:
            findings.error(said, f"Sluice needs PostgreSQL {OLDEST_VERSION} or newer.")
        else:
            findings.ok(said)
    finally:
        await connection.close()
    await _check_schema(settings, findings)


async def _check_schema(settings: Settings, findings: Findings) -> None:
    try:
        pending = await pending_migrations(settings.database_url.get_secret_value())
    except SluiceError as error:
        findings.error(f"its schema cannot be read: {error}", "Does the user of SLUICE_DATABASE_URL own it?")
        return
    if not pending:
        findings.ok("its schema is up to date")
    elif settings.database_migrate:
        findings.ok(f"its schema lacks {', '.join(pending)}: gateways and workers apply that before they use it")
    else:
        findings.error(f"its schema lacks {', '.join(pending)}", "Run: sluice migrate")
