"""Redis: reachable, one server, keeps what it was told."""

from __future__ import annotations

import time

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, RedisError

from deploy.cli.doctor.findings import Findings
from pipeline.settings import Settings

OLDEST_VERSION = (6, 2)
"""The oldest that the tests run against."""
MOST_SKEW_SECONDS = 2.0


async def check_redis(settings: Settings, findings: Findings) -> None:
    """Reads INFO and TIME; writes nothing."""
    redis: Redis = Redis.from_url(settings.redis_url.get_secret_value(), socket_connect_timeout=5, socket_timeout=5)
    try:
        try:
            before = time.time()
            seconds, microseconds = await redis.time()
            after = time.time()
            info = await redis.info()
        except AuthenticationError as error:
            findings.error(
                f"refuses us: {error}", "Put user and password into SLUICE_REDIS_URL: redis://user:password@host:6379/0"
            )
            return
        except (RedisError, OSError) as error:
            findings.error(
                f"cannot be reached: {error}", "Is it running? SLUICE_REDIS_URL says where it is looked for."
            )
            return
    finally:
        await redis.aclose()
    judge_info(info, findings)
    skew = seconds + microseconds / 1e6 - (before + after) / 2
    if abs(skew) > MOST_SKEW_SECONDS + (after - before):
        findings.warning(
            f"its clock is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} this machine's",
            "Leases go by Redis' clock, so nothing breaks, but times in logs and answers will not agree: run NTP.",
        )
    else:
        findings.ok(f"its clock agrees with ours within {abs(skew) + (after - before):.3f} s")


def judge_info(info: dict[str, object], findings: Findings) -> None:
    """What the fields of INFO mean for Sluice."""
    version = str(info.get("redis_version", "0"))
    number = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if number < OLDEST_VERSION:
        findings.error(f"version {version}", f"Sluice is tried with {'.'.join(map(str, OLDEST_VERSION))} and newer.")
    else:
        findings.ok(f"version {version}")
    if info.get("redis_mode") == "cluster":
        findings.error(
            "is a cluster", "Its scripts touch several keys at once: use a single server, with replicas if you like."
        )
    if info.get("role") == "slave":
        findings.error("is a replica: it takes no writes", "Let SLUICE_REDIS_URL name the master.")
    if not info.get("aof_enabled"):
        findings.warning(
            "keeps no append-only file: what is in flight is lost when it restarts",
            "Set `appendonly yes` in its configuration (CONFIG SET appendonly yes, and CONFIG REWRITE).",
        )
    else:
        findings.ok("keeps an append-only file")
    if info.get("aof_last_write_status") not in (None, "ok"):
        findings.error("cannot write its append-only file", "Is its disk full? Its log says more.")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        findings.error(
            f"throws keys away when memory is short (maxmemory-policy {policy})",
            "Uploads would vanish: CONFIG SET maxmemory-policy noeviction, and give it a server of its own.",
        )
    else:
        findings.ok("never evicts (maxmemory-policy noeviction)")
