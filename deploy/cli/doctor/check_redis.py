"""Checks that Redis is reachable, is a single server that accepts writes, and does not lose data."""

from __future__ import annotations

import time
from typing import Any

from redis.asyncio import Redis

from deploy.cli.doctor.check_sentinel import check_sentinels
from deploy.cli.doctor.findings import RESPONSE_SECONDS, Findings
from deploy.cli.doctor.redis_advice import SINGLE_SERVER, advice
from deploy.cli.doctor.redis_memory import judge_memory
from deploy.cli.doctor.transport import judge_redis_transport
from deploy.cli.formatting import format_bytes
from pipeline.adapters.redis.connecting import open_pool
from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.keys import Keys
from pipeline.adapters.redis.scripts import Scripts
from pipeline.adapters.redis.sentinel import read_sentinel_url
from pipeline.bootstrap.redis import redis_address, redis_health
from pipeline.core.errors import DependencyUnavailable
from pipeline.settings import Settings

OLDEST_VERSION = (6, 2)
"""The oldest version that Sluice is tested with."""
MOST_SKEW_SECONDS = 2.0
_NEARLY_FULL = 0.9
_CONNECTIONS = 4
_OF_SENTINEL = "Set SLUICE_REDIS_URL to the Sentinels and the name of the primary: redis+sentinel://HOST:26379/NAME/0"


async def check_redis(settings: Settings, findings: Findings) -> None:
    """Read INFO and TIME, subscribe to a channel, and write keys that are deleted at once."""
    url = redis_address(settings)
    sentinels = read_sentinel_url(url)
    if sentinels is not None and not await check_sentinels(sentinels, findings):
        return
    pool = open_pool(
        url,
        max_connections=_CONNECTIONS,
        decode_responses=True,
        socket_connect_timeout=RESPONSE_SECONDS,
        socket_timeout=RESPONSE_SECONDS,
    )
    redis: Redis = Redis(connection_pool=pool)
    keys = Keys(settings.redis_namespace)
    health = redis_health(redis, Scripts(redis, keys.prefix), keys)
    user = redis.connection_pool.connection_kwargs.get("username")
    try:
        info = await _info(redis)
        if info.get("redis_mode") == "sentinel":
            findings.error("is a Sentinel, which holds no data", _OF_SENTINEL)
            return
        judge_info(info, findings)
        if sentinels is not None:
            judge_replication(info, findings)
        judge_redis_transport(settings.redis_url.get_secret_value(), findings)
        judge_memory(info, settings, findings)
        await health.check()
        findings.ok("accepts writes, and its user has every right that Sluice needs")
        await _check_clock(redis, findings)
    except DependencyUnavailable as error:
        problem = await health.named(error)
        code = problem.detail["redis_code"]
        if not any(finding.what == _REPLICA for finding in findings.all) or code not in ("READONLY", "MASTERDOWN"):
            findings.error(problem.detail["reason"], advice(code, user, settings.redis_namespace))
        return
    finally:
        await redis.aclose(close_connection_pool=True)
    await _check_signals(redis, keys, user, settings, findings)


async def _info(redis: Redis) -> dict[str, Any]:
    with translated():
        info: dict[str, Any] = await redis.info()
    return info


async def _check_clock(redis: Redis, findings: Findings) -> None:
    before = time.time()
    with translated():
        seconds, microseconds = await redis.time()
    after = time.time()
    skew = seconds + microseconds / 1e6 - (before + after) / 2
    if abs(skew) > MOST_SKEW_SECONDS + (after - before):
        findings.warning(
            f"its clock is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} this machine's",
            "Leases use only Redis' clock, so nothing breaks, but times in logs and responses differ. Run NTP.",
        )
    else:
        findings.ok(f"its clock agrees with this machine's within {abs(skew) + (after - before):.3f} s")


async def _check_signals(redis: Redis, keys: Keys, user: str | None, settings: Settings, findings: Findings) -> None:
    """A user may lack the right to subscribe only."""
    pubsub = redis.pubsub()
    try:
        with translated():
            await pubsub.subscribe(keys.signals)
            await pubsub.get_message(timeout=RESPONSE_SECONDS)
    except DependencyUnavailable as error:
        findings.error(
            f"sends no signals, so that jobs and changes are found by polling: {error.detail['reason']}",
            advice(error.detail["redis_code"], user, settings.redis_namespace),
        )
    finally:
        await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py has no types here
        await redis.aclose(close_connection_pool=True)


_REPLICA = "is a replica, which accepts no writes"


def judge_info(info: dict[str, Any], findings: Findings) -> None:
    """Judge the fields of INFO."""
    version = str(info.get("redis_version", "0"))
    number = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if number < OLDEST_VERSION:
        findings.error(f"version {version}", f"Sluice needs Redis {'.'.join(map(str, OLDEST_VERSION))} or newer.")
    else:
        findings.ok(f"version {version}")
    if info.get("redis_mode") == "cluster":
        findings.error("is a cluster", SINGLE_SERVER)
    if info.get("role") == "slave":
        findings.error(_REPLICA, "Set SLUICE_REDIS_URL to the primary.")
    _judge_persistence(info, findings)
    _judge_limits(info, findings)


def judge_replication(info: dict[str, Any], findings: Findings) -> None:
    """Judge the fields of INFO of a primary that Sentinel watches."""
    if "min_slaves_good_slaves" not in info:
        findings.warning(
            "accepts writes without any replica, and loses them if another primary is promoted meanwhile",
            "Set `min-replicas-to-write 1` and `min-replicas-max-lag 10` on every server.",
        )


def _judge_persistence(info: dict[str, Any], findings: Findings) -> None:
    if not info.get("aof_enabled"):
        findings.warning(
            "keeps no append-only file, so uploads in flight are lost when it restarts",
            "Set `appendonly yes` in its configuration (CONFIG SET appendonly yes, and CONFIG REWRITE).",
        )
    else:
        findings.ok("keeps an append-only file")
    disk = "Check whether its disk is full or read-only; its log has the details."
    if info.get("aof_last_write_status") not in (None, "ok"):
        findings.error("cannot write its append-only file", disk)
    if info.get("rdb_last_bgsave_status") not in (None, "ok"):
        findings.warning(
            "its last save failed (rdb_last_bgsave_status); with stop-writes-on-bgsave-error it refuses writes",
            f"{disk} Then run BGSAVE.",
        )


def _judge_limits(info: dict[str, Any], findings: Findings) -> None:
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        findings.error(
            f"deletes keys when memory runs short (maxmemory-policy {policy})",
            "Uploads would be lost. Run CONFIG SET maxmemory-policy noeviction, and do not share this server.",
        )
    else:
        findings.ok("never evicts (maxmemory-policy noeviction)")
    used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if limit and used >= limit * _NEARLY_FULL:
        findings.warning(
            f"uses {format_bytes(used)} of {format_bytes(limit)} (maxmemory)",
            "It refuses writes when maxmemory is reached. Raise it, and do not share this server.",
        )
    clients, most = int(info.get("connected_clients", 0)), int(info.get("maxclients", 0))
    if most and clients >= most * _NEARLY_FULL:
        findings.warning(
            f"has {clients} of {most} connections (maxclients)",
            "It refuses connections when maxclients is reached. Raise it, or find idle connections with CLIENT LIST.",
        )
