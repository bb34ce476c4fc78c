"""Checks that the object store responds, accepts our credentials, and can be written to."""

from __future__ import annotations

from deploy.cli.doctor.findings import Findings
from pipeline.bootstrap import open_store
from pipeline.core.errors import StoreError
from pipeline.settings import Settings


async def check_store(settings: Settings, findings: Findings) -> None:
    """Uses the same adapter as the gateway and the workers."""
    try:
        async with open_store(settings) as store:
            findings.ok(await store.check())
    except StoreError as error:
        where = f"SLUICE_SWIFT_AUTH_URL is {settings.swift_auth_url}"
        if error.code == "STORE_AUTH_FAILED":
            findings.error(
                str(error),
                f"Check SLUICE_SWIFT_USER, SLUICE_SWIFT_PASSWORD and the other SLUICE_SWIFT_* settings. {where}.",
            )
        elif error.code == "STORE_UNAVAILABLE":
            findings.error(str(error), f"Check that it is running and reachable from this machine. {where}.")
        else:
            findings.error(
                str(error), f"Check that this user may write to the container {settings.swift_container}. {where}."
            )
