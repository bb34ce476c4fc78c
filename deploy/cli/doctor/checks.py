"""Runs all checks concurrently, each with a time limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from deploy.cli.doctor.check_access import check_access_rules
from deploy.cli.doctor.check_cells import check_cells
from deploy.cli.doctor.check_database import check_database
from deploy.cli.doctor.check_media import check_media
from deploy.cli.doctor.check_process import check_process
from deploy.cli.doctor.check_records import check_records
from deploy.cli.doctor.check_redis import check_redis
from deploy.cli.doctor.check_store import check_store
from deploy.cli.doctor.check_temp_volume import check_temp_volume
from deploy.cli.doctor.findings import Finding, Findings
from pipeline.settings import Settings

_SECONDS = 60.0
"""The object store's check sends and reads several MiB."""

CHECKS: Final[Mapping[str, Callable[[Settings, Findings], Awaitable[None]]]] = {
    "Redis": check_redis,
    "PostgreSQL": check_database,
    "object store": check_store,
    "media reader": check_media,
    "temp volume": check_temp_volume,
    "records": check_records,
    "process": check_process,
    "access": check_access_rules,
    "cells": check_cells,
}


async def examine(settings: Settings) -> list[Finding]:
    """The findings of every check, in the order of CHECKS."""
    async with asyncio.TaskGroup() as group:  # unlike gather, it waits for every check when it is cancelled
        checks = [group.create_task(_run(name, check, settings)) for name, check in CHECKS.items()]
    return [finding for check in checks for finding in check.result()]


async def _run(name: str, check: Callable[[Settings, Findings], Awaitable[None]], settings: Settings) -> list[Finding]:
    findings = Findings(name)
    try:
        async with asyncio.timeout(_SECONDS):
            await check(settings, findings)
    except TimeoutError:
        findings.error(
            f"no response within {_SECONDS:.0f} s", "Check firewalls and routes: something may be dropping packets."
        )
    except Exception as error:  # noqa: BLE001 -- any error of a driver is a finding
        findings.error(f"the check itself failed: {type(error).__name__}: {error}", "This is a bug. Please report it.")
    return findings.all
