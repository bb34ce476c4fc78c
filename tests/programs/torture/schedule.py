"""The schedule of a run, computed from its seed alone: which faults and which uploads start when.

Guarantee: the same seed gives the same schedule, and a longer run begins as a shorter one does. Two faults never
overlap on one target. The actual time of a fault varies with the machine: it waits until its target has recovered from
the previous fault.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from tests.programs.torture.fault_kinds import ALL_PROCESSES, RULES, SLUICE, FaultKind, kinds_of

_SHORTEST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.5, 5.0
# No fault is planned for a target this soon after its previous fault, so that it does some work in between.
_REST_SECONDS = 4.0
# Sentinels need so long to promote a replica, and to make a replica of the old primary.
_FAILOVER_SECONDS = 20.0
_SEVERAL_AT_ONCE = 0.2
_UPLOADS_PER_SECOND = 1.5
_LARGEST_BYTES = 4 * 1024 * 1024
_GIANT_BYTES = 13 * 1024 * 1024
"""Larger than the whole budget of the temp volume."""
_GIANT_PROBABILITY = 0.015
_OBEYS_PROBABILITY = 0.7
_PAUSES_SECONDS = (0.0, 0.0, 0.2, 0.5)


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """Is injected `at_seconds` after the start and healed `for_seconds` later."""

    at_seconds: float
    kind: FaultKind
    target: str
    for_seconds: float
    seed: int


class Scenario(StrEnum):
    """What the client does with an upload. It determines how the upload may end (`audit`)."""

    COMPLETE = "complete"
    NOT_MEDIA = "not media"
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"


_SCENARIOS: Mapping[Scenario, int] = {
    Scenario.COMPLETE: 75,
    Scenario.NOT_MEDIA: 10,
    Scenario.CANCELLED: 9,
    Scenario.ABANDONED: 6,
}
"""Relative frequency."""


class Way(StrEnum):
    """How the bytes come to Sluice: sent to a gateway, sent to the store, or they are in the store already."""

    GATEWAY = "gateway"
    DIRECT = "direct"
    IMPORT = "import"


_WAYS: Mapping[Way, int] = {Way.GATEWAY: 80, Way.DIRECT: 10, Way.IMPORT: 10}
"""Relative frequency. Uploads that are cancelled or abandoned are always sent to a gateway."""


@dataclass(frozen=True, slots=True)
class PlannedUpload:
    """Starts `at_seconds` after the start of the run. `extra_bytes` are added to a media sample, or are the whole
    file if it is not media. The client cancels or abandons the upload after `part` (0 to 1) of its segments, and pauses
    for `pause_seconds` after each segment. `obeys`: it sends wanted segments next; else in any order."""

    number: int
    at_seconds: float
    scenario: Scenario
    extra_bytes: int
    part: float
    pause_seconds: float
    seed: int
    way: Way
    obeys: bool


@dataclass(frozen=True, slots=True)
class Schedule:
    """The faults and uploads of one run, each in order of time. `sentinel`: Redis has replicas and Sentinels."""

    seed: int
    sentinel: bool
    seconds: float
    faults: tuple[PlannedFault, ...]
    uploads: tuple[PlannedUpload, ...]


def make_schedule(
    seed: int, seconds: float, only: Collection[FaultKind] = tuple(FaultKind), *, sentinel: bool | None = None
) -> Schedule:
    """The schedule of a run of `seconds`, with those of these kinds of faults that are possible. `sentinel`: whether
    Redis is behind Sentinel; None: as the seed says, two of three runs are. Raises ValueError if none is possible."""
    sentinel = seed % 3 != 0 if sentinel is None else sentinel
    possible = [kind for kind in kinds_of(sentinel=sentinel) if kind in only]
    if not possible:
        raise ValueError("these kinds of faults need " + ("one Redis server" if sentinel else "Redis with Sentinel"))
    faults = tuple(_until(_faults(random.Random(f"faults {seed}"), possible, sentinel), seconds))
    uploads = tuple(_until(_uploads(random.Random(f"uploads {seed}")), seconds))
    return Schedule(seed, sentinel, seconds, faults, uploads)


def targets_of(fault: PlannedFault) -> tuple[str, ...]:
    """The processes and servers that the fault affects."""
    return SLUICE if fault.target == ALL_PROCESSES else (fault.target,)


T = TypeVar("T", PlannedFault, PlannedUpload)


def _until(items: Iterator[T], seconds: float) -> Iterator[T]:
    for item in items:
        if item.at_seconds >= seconds:
            return
        yield item


def _faults(dice: random.Random, kinds: Sequence[FaultKind], sentinel: bool) -> Iterator[PlannedFault]:
    at = 2.0
    free_at: dict[str, float] = {}
    weights = [RULES[kind].weight for kind in kinds]
    while True:
        for _ in range(1 if dice.random() >= _SEVERAL_AT_ONCE else dice.randint(2, 3)):
            kind = dice.choices(kinds, weights)[0]
            rule = RULES[kind]
            fault = PlannedFault(
                round(at, 3),
                kind,
                dice.choice(rule.targets),
                round(dice.uniform(*rule.seconds), 3),
                dice.randrange(2**32),
            )
            targets = targets_of(fault)
            rest_seconds = _FAILOVER_SECONDS if sentinel and fault.target == "redis" else _REST_SECONDS
            if all(free_at.get(target, 0.0) <= at for target in targets):
                free_at |= dict.fromkeys(targets, at + fault.for_seconds + rest_seconds)
                yield fault
        at += dice.uniform(_SHORTEST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)


def _uploads(dice: random.Random) -> Iterator[PlannedUpload]:
    at, number = 0.0, 0
    while True:
        number += 1
        scenario = dice.choices(list(_SCENARIOS), list(_SCENARIOS.values()))[0]
        way = dice.choices(list(_WAYS), list(_WAYS.values()))[0]
        is_giant = dice.random() < _GIANT_PROBABILITY
        size = round(_LARGEST_BYTES ** (dice.random() ** 0.6))
        yield PlannedUpload(
            number,
            round(at, 3),
            scenario,
            _GIANT_BYTES if is_giant else size,
            round(dice.random(), 3),
            dice.choice(_PAUSES_SECONDS),
            dice.randrange(2**32),
            Way.GATEWAY if scenario in (Scenario.CANCELLED, Scenario.ABANDONED) else way,
            dice.random() < _OBEYS_PROBABILITY,
        )
        at += dice.expovariate(_UPLOADS_PER_SECOND)
