"""Checks that the Sentinels of a URL are reachable, name the same primary, and could agree on another one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy.cli.doctor.findings import Findings
from pipeline.adapters.redis.sentinel import SentinelAddress

_FEWEST = 3

States = Mapping[str, Mapping[str, Any] | None]
"""By the address of a Sentinel: what it says of the primary; None: it does not know the name."""


async def check_sentinels(address: SentinelAddress, findings: Findings) -> bool:
    """Only reads. False: no Sentinel names a primary, so that Redis cannot be checked."""
    client = address.client()
    names = [_name(host, port) for host, port in address.sentinels]
    try:
        replies = await asyncio.gather(*(_ask(one, address.primary) for one in client.sentinels))
    finally:
        await asyncio.gather(*(one.aclose() for one in client.sentinels))
    states = {name: reply for name, reply in zip(names, replies, strict=True) if not isinstance(reply, str)}
    for name, reply in zip(names, replies, strict=True):
        if isinstance(reply, str):
            findings.warning(
                f"the Sentinel {name} is not usable: {reply}",
                "Start it, or correct SLUICE_REDIS_URL: a fail-over needs most of the Sentinels.",
            )
    return judge_sentinels(address.primary, states, findings)


async def _ask(client: Redis, primary: str) -> Mapping[str, Any] | str | None:
    """What this Sentinel says of the primary; None: nothing; text: why it cannot be asked."""
    try:
        masters: Mapping[str, Mapping[str, Any]] = await client.sentinel_masters()  # type: ignore[no-untyped-call]  # redis-py
    except (RedisError, OSError, TimeoutError) as error:
        return str(error) or type(error).__name__
    return masters.get(primary)


def judge_sentinels(primary: str, states: States, findings: Findings) -> bool:
    """Judge the replies of the Sentinels that responded. As `check_sentinels`."""
    known = {name: state for name, state in states.items() if state is not None}
    if not known:
        findings.error(
            f"no Sentinel knows a primary called '{primary}'",
            "Check the Sentinels, and the name in SLUICE_REDIS_URL: it is that of `sentinel monitor`.",
        )
        return False
    addresses = {_name(state["ip"], state["port"]) for state in known.values()}
    if len(addresses) > 1:
        findings.warning(
            f"the Sentinels name different primaries: {', '.join(sorted(addresses))}",
            "A fail-over may be in progress. Otherwise some Sentinel is cut off from the others.",
        )
    _judge_majority(known, findings)
    replicas = max(int(state["num-slaves"]) for state in known.values())
    if replicas == 0:
        findings.error("the primary has no replica, so nothing can take over", "Start one with `replicaof`.")
    if len(addresses) == 1 and replicas > 0:
        findings.ok(f"the Sentinels name {addresses.pop()} as the primary, with {replicas} replicas")
    return True


def _judge_majority(known: Mapping[str, Mapping[str, Any]], findings: Findings) -> None:
    total = 1 + max(int(state["num-other-sentinels"]) for state in known.values())
    needed = max(total // 2 + 1, max(int(state["quorum"]) for state in known.values()))
    if total < _FEWEST:
        findings.warning(
            f"there are {total} Sentinels, so that none may be lost",
            "Run three or more, on machines of their own.",
        )
    elif len(known) < needed:
        findings.error(
            f"{len(known)} of {total} Sentinels can be used from here: they could not agree on another primary",
            f"Start the others: {needed} are needed.",
        )


def _name(host: str, port: int | str) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
