"""Checks that Redis is reachable, is a single server, and does not lose data."""

from __future__ import annotations

import time

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, RedisError

from deploy.cli.doctor.findings import RESPONSE_SECONDS, Findings
from pipeline.settings import Settings

OLDEST_VERSION = (6, 2)
"""The oldest version that Sluice is tested with."""
MOST_SKEW_SECONDS = 2.0


async def check_redis(settings: Settings, findings: Findings) -> None:
    """Read INFO and TIME; write nothing."""
    redis: Redis = Redis.from_url(
        settings.redis_url.get_secret_value(), socket_connect_timeout=RESPONSE_SECONDS, socket_timeout=RESPONSE_SECONDS
    )
    try:
        try:
            before = time.time()
            seconds, microseconds = await redis.time()
            after = time.time()
            info = await redis.info()
        except AuthenticationError as error:
            findings.error(
                f"refuses the login: {error}",
                "Set user and password in SLUICE_REDIS_URL: redis://user:password@host:6379/0",
            )
            return
        except (RedisError, OSError) as error:
            findings.error(
                f"cannot be reached: {error}", "Check that it is running and that SLUICE_REDIS_URL is right."
            )
            return
    finally:
        await redis.aclose()
    judge_info(info, findings)
    skew = seconds + microseconds / 1e6 - (before + after) / 2
    if abs(skew) > MOST_SKEW_SECONDS + (after - before):
        findings.warning(
            f"its clock is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} this machine's",
            "Leases use only Redis' clock, so nothing breaks, but times in logs and responses differ. Run NTP.",
        )
    else:
        findings.ok(f"its clock agrees with this machine's within {abs(skew) + (after - before):.3f} s")


def judge_info(info: dict[str, object], findings: Findings) -> None:
    """Judge the fields of INFO."""
    version = str(info.get("redis_version", "0"))
    number = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if number < OLDEST_VERSION:
        findings.error(f"version {version}", f"Sluice needs Redis {'.'.join(map(str, OLDEST_VERSION))} or newer.")
    else:
        findings.ok(f"version {version}")
    if info.get("redis_mode") == "cluster":
        findings.error(
            "is a cluster", "Sluice's scripts use several keys at once. Use a single server; it may have replicas."
        )
    if info.get("role") == "slave":
        findings.error("is a replica, which accepts no writes", "Set SLUICE_REDIS_URL to the master.")
    if not info.get("aof_enabled"):
        findings.warning(
            "keeps no append-only file, so uploads in flight are lost when it restarts",
            "Set `appendonly yes` in its configuration (CONFIG SET appendonly yes, and CONFIG REWRITE).",
        )
    else:
        findings.ok("keeps an append-only file")
    if info.get("aof_last_write_status") not in (None, "ok"):
        findings.error("cannot write its append-only file", "Check whether its disk is full; its log has the details.")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        findings.error(
            f"deletes keys when memory runs short (maxmemory-policy {policy})",
            "Uploads would be lost. Run CONFIG SET maxmemory-policy noeviction, and do not share this server.",
        )
    else:
        findings.ok("never evicts (maxmemory-policy noeviction)")
