"""Checks that Redis knows every upload on the temp volume, and counts those of each owner correctly."""

from __future__ import annotations

from deploy.cli.doctor.findings import Findings
from pipeline.bootstrap import redis_parts, volume_parts
from pipeline.core.errors import SluiceError
from pipeline.settings import Settings

_NAMED_OWNERS = 5


async def check_records(settings: Settings, findings: Findings) -> None:
    """Only reads. Adds no finding when Redis or the temp volume cannot be read: their own checks report that."""
    if not settings.temp_dir.is_dir():
        return
    async with redis_parts(settings) as redis:
        try:
            await redis.ledger.epoch()
            unknown = await volume_parts(settings, redis).recovery.unknown()
            wrong = await redis.owners.compare()
        except SluiceError:
            return
    if unknown:
        findings.error(
            f"Redis has lost {len(unknown)} uploads that are on the temp volume",
            "Check SLUICE_REDIS_URL, SLUICE_REDIS_NAMESPACE and SLUICE_TEMP_DIR. If they are right: sluice recover",
        )
    else:
        findings.ok("Redis knows every upload on the temp volume")
    if wrong:
        names = ", ".join(item.owner for item in wrong[:_NAMED_OWNERS])
        findings.warning(
            f"the counters of {len(wrong)} owners differ from their uploads: {names}",
            "Their limits count too much or too little. A process of an older release may have changed their uploads; "
            "when all are replaced: sluice recover",
        )
    else:
        findings.ok("the counters of owners agree with their uploads")
