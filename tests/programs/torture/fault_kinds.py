"""The kinds of faults: what each is called, how often it occurs, what it affects, and how long it lasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipeline.core.stages import WorkerType

GATEWAYS = ("gateway", "gateway-2")
WORKERS = tuple(f"worker-{kind}" for kind in WorkerType)
SLUICE = (*GATEWAYS, *WORKERS)
READERS = ("worker-probe", "worker-thumbnail")
ALL_PROCESSES = "all processes"


class FaultKind(StrEnum):
    """The kinds of faults; the values are the labels in the report."""

    KILL = "process killed (SIGKILL)"
    TERM = "process terminated (SIGTERM)"
    KILL_ALL = "all processes killed at once"
    REDIS_KILL = "redis killed"
    REDIS_PAUSE = "redis paused"
    REDIS_ROLLBACK = "redis restored without its last second"
    REDIS_FAILOVER = "redis primary killed, replica promoted"
    REDIS_FAILOVER_BEHIND = "redis primary killed, replica without its last second promoted"
    REDIS_EMPTY = "redis emptied, then recovered"
    REDIS_FULL = "redis is out of memory"
    REDIS_READ_ONLY = "redis is a read-only replica"
    REDIS_UNSAVED = "redis refuses writes after a failed save"
    POSTGRES_KILL = "postgres killed"
    POSTGRES_STOP = "postgres stopped"
    POSTGRES_CANCEL = "postgres cancels statements"
    POSTGRES_FULL = "postgres has no connection left"
    POSTGRES_READ_ONLY = "postgres is read-only"
    SWIFT_KILL = "swift server killed"
    SWIFT_PAUSE = "swift server paused"
    STORE_503 = "store responds 503"
    STORE_429 = "store responds 429"
    STORE_RESET = "store resets connections"
    STORE_STALL = "store stalls"
    STORE_SLOW = "store is slow"
    STORE_REFUSE = "store refuses connections"
    STORE_UNPARSABLE = "store sends responses that cannot be parsed"
    STORE_CORRUPT = "byte changed on the way to the store"
    FLIP = "bit flipped on the temp volume"
    PAUSE = "process paused (SIGSTOP)"
    READER_KILL = "process of the media reader killed"
    STORE_LOSES = "stored segments deleted from the store"


@dataclass(frozen=True, slots=True)
class Rule:
    """Relative frequency, possible targets, and duration (shortest, longest)."""

    weight: int
    targets: Sequence[str]
    seconds: tuple[float, float]


_SWIFT = ("proxy-server", "object-server", "container-server")
_STORE = ("store",)
RULES: Mapping[FaultKind, Rule] = {
    FaultKind.KILL: Rule(30, SLUICE, (0, 3)),
    FaultKind.TERM: Rule(8, SLUICE, (0, 2)),
    FaultKind.KILL_ALL: Rule(2, (ALL_PROCESSES,), (0, 3)),
    FaultKind.REDIS_KILL: Rule(5, ("redis",), (0, 6)),
    FaultKind.REDIS_PAUSE: Rule(4, ("redis",), (1, 8)),
    FaultKind.REDIS_ROLLBACK: Rule(3, ("redis",), (0, 3)),
    FaultKind.REDIS_FAILOVER: Rule(10, ("redis",), (0, 3)),
    FaultKind.REDIS_FAILOVER_BEHIND: Rule(5, ("redis",), (0, 3)),
    FaultKind.REDIS_EMPTY: Rule(3, ("redis",), (0, 4)),
    FaultKind.REDIS_FULL: Rule(3, ("redis",), (1, 8)),
    FaultKind.REDIS_READ_ONLY: Rule(2, ("redis",), (1, 6)),
    FaultKind.REDIS_UNSAVED: Rule(2, ("redis",), (1, 6)),
    FaultKind.POSTGRES_KILL: Rule(4, ("postgres",), (0, 10)),
    FaultKind.POSTGRES_STOP: Rule(3, ("postgres",), (1, 15)),
    FaultKind.POSTGRES_CANCEL: Rule(3, ("postgres",), (2, 12)),
    FaultKind.POSTGRES_FULL: Rule(2, ("postgres",), (2, 8)),
    FaultKind.POSTGRES_READ_ONLY: Rule(2, ("postgres",), (2, 10)),
    FaultKind.SWIFT_KILL: Rule(5, _SWIFT, (0, 6)),
    FaultKind.SWIFT_PAUSE: Rule(5, _SWIFT, (1, 10)),
    FaultKind.STORE_503: Rule(3, _STORE, (2, 10)),
    FaultKind.STORE_429: Rule(2, _STORE, (2, 8)),
    FaultKind.STORE_RESET: Rule(3, _STORE, (2, 8)),
    FaultKind.STORE_STALL: Rule(3, _STORE, (2, 14)),
    FaultKind.STORE_SLOW: Rule(2, _STORE, (2, 10)),
    FaultKind.STORE_REFUSE: Rule(2, _STORE, (1, 8)),
    FaultKind.STORE_UNPARSABLE: Rule(3, _STORE, (2, 10)),
    FaultKind.STORE_CORRUPT: Rule(2, _STORE, (2, 6)),
    FaultKind.FLIP: Rule(8, ("temp volume",), (0, 0)),
    FaultKind.PAUSE: Rule(6, (*GATEWAYS, "worker-transfer", "worker-probe", "worker-admission"), (1, 10)),
    FaultKind.READER_KILL: Rule(8, READERS, (0, 0)),
    FaultKind.STORE_LOSES: Rule(8, ("stored segments",), (0, 0)),
}

_ONLY_WITH_SENTINEL = frozenset({FaultKind.REDIS_FAILOVER, FaultKind.REDIS_FAILOVER_BEHIND})
_ONLY_WITHOUT_SENTINEL = frozenset({FaultKind.REDIS_ROLLBACK})
"""The same as `REDIS_FAILOVER_BEHIND`, of a server without replicas."""


def kinds_of(*, sentinel: bool) -> tuple[FaultKind, ...]:
    """The kinds of faults of a run, with Redis behind Sentinel or with one Redis server."""
    excluded = _ONLY_WITHOUT_SENTINEL if sentinel else _ONLY_WITH_SENTINEL
    return tuple(kind for kind in FaultKind if kind not in excluded)
