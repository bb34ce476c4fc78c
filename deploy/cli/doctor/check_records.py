"""Checks that Redis knows every upload on the temp volume."""

from __future__ import annotations

from deploy.cli.doctor.findings import Findings
from pipeline.bootstrap import redis_parts, volume_parts
from pipeline.core.errors import SluiceError
from pipeline.settings import Settings


async def check_records(settings: Settings, findings: Findings) -> None:
    """Only reads. Adds no finding when Redis or the temp volume cannot be read: their own checks report that."""
    if not settings.temp_dir.is_dir():
        return
    async with redis_parts(settings) as redis:
        try:
            await redis.ledger.epoch()
            unknown = await volume_parts(settings, redis).recovery.unknown()
        except SluiceError:
            return
    if unknown:
        findings.error(
            f"Redis has lost {len(unknown)} uploads that are on the temp volume",
            "Check SLUICE_REDIS_URL, SLUICE_REDIS_NAMESPACE and SLUICE_TEMP_DIR. If they are right: sluice recover",
        )
    else:
        findings.ok("Redis knows every upload on the temp volume")
