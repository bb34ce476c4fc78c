"""Reads the board during a run: every event, and every heartbeat of a stage's run.

A take-over is a run that did not renew its lease in time and whose stage the board gave to another worker. Its time is
counted from the dead run's last heartbeat to the start of the next run, by Redis' clock. What a take-over depends on
(Redis, a worker of the type, the admission worker) may itself have been unavailable: a second time is counted from when
the last of these was available again, if that is later.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from pipeline.adapters.redis.reads import hash_all
from pipeline.core.stages import GRAPH, Stage, StageState
from tests.programs.torture.board import live_stages
from tests.programs.torture.world import World

_POLL_SECONDS = 0.2
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class TakeOver:
    """One take-over; times in milliseconds of Redis' clock. `started_ms` None: no run followed, since the upload has
    ended. `available_ms`: when all that the take-over depends on was available, not before the last heartbeat."""

    upload_id: str
    stage: Stage
    heartbeat_ms: int
    started_ms: int | None
    available_ms: int

    @property
    def seconds(self) -> float | None:
        return None if self.started_ms is None else (self.started_ms - self.heartbeat_ms) / 1000

    @property
    def available_seconds(self) -> float | None:
        return None if self.started_ms is None else (self.started_ms - self.available_ms) / 1000


@dataclass(frozen=True, slots=True)
class StageHistory:
    """What happened to the stages of all uploads: failed attempts and take-overs as the board counted them, the
    take-overs whose dead run was observed, and the events of each upload (time in ms, text)."""

    retries: int
    takeover_count: int
    takeovers: Sequence[TakeOver]
    events: Mapping[str, Sequence[tuple[int, str]]]


@dataclass
class Watch:
    """What was observed so far."""

    world: World
    _events: dict[str, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list), init=False)
    """By upload: time (ms) and text."""
    _last_id: str = field(default="0", init=False)
    _heartbeats: dict[tuple[str, Stage], tuple[int, int]] = field(default_factory=dict, init=False)
    """By upload and stage: latest heartbeat (ms), and take-overs counted by then."""
    _dead: list[tuple[str, Stage, int]] = field(default_factory=list, init=False)
    """Upload, stage and last heartbeat (ms) of each run that was taken over."""
    _counts: dict[tuple[str, Stage], tuple[int, int]] = field(default_factory=dict, init=False)
    """By upload and stage: the highest numbers of failures and take-overs that the board has shown."""

    async def run(self) -> None:
        """Read the board repeatedly, until cancelled."""
        while True:
            with suppress(RedisError):  # Redis is a target of faults
                await self.update()
            await asyncio.sleep(_POLL_SECONDS)

    async def update(self) -> None:
        """Read what is new. Raises RedisError."""
        redis, keys = self.world.redis, self.world.keys
        while entries := await redis.xread({keys.events: self._last_id}, count=_BATCH):
            for entry_id, entry in entries[0][1]:
                self._last_id = entry_id
                text = f"{entry['kind']} {entry['name']} {entry['value']} {entry['error_code']}".rstrip()
                self._events[entry["upload_id"]].append((int(entry_id.partition("-")[0]), text))
        lease_ms = int(self.world.settings.stage_lease_seconds * 1000)
        for live in await live_stages(redis, keys):
            run = (live.upload_id, live.stage)
            self._count(run, live.failures, live.takeovers)
            known = self._heartbeats.get(run)
            if known is not None and live.takeovers > known[1]:
                self._dead.append((*run, known[0]))
                self._heartbeats[run] = (known[0], live.takeovers)
            if live.state is StageState.RUNNING:
                self._heartbeats[run] = (live.until_ms - lease_ms, live.takeovers)

    async def history(self, upload_ids: Iterable[str]) -> StageHistory:
        """The history over `upload_ids`. Counts that Redis lost before they were read are not included. Raises
        RedisError."""
        for upload_id in upload_ids:
            fields = await hash_all(self.world.redis, self.world.keys.upload(upload_id))
            for stage in Stage:
                counts = (int(fields.get(f"stage.{stage}.{name}", "0")) for name in ("failures", "takeovers"))
                self._count((upload_id, stage), *counts)
        return StageHistory(
            retries=sum(failures for failures, _ in self._counts.values()),
            takeover_count=sum(takeovers for _, takeovers in self._counts.values()),
            takeovers=[self._takeover(*dead) for dead in self._dead],
            events=self._events,
        )

    def _takeover(self, upload_id: str, stage: Stage, heartbeat_ms: int) -> TakeOver:
        # A start within the dead run's lease is that run itself. Half of the lease, since heartbeats are sampled.
        lease_ms = int(self.world.settings.stage_lease_seconds * 1000)
        after_ms = heartbeat_ms + lease_ms // 2
        starts = (at for at, text in self._events[upload_id] if at > after_ms and text == f"stage {stage} running")
        started_ms = next(starts, None)
        worker = GRAPH[stage].worker
        needed = ("redis", f"worker-{worker}", "worker-admission")
        available_ms = max([heartbeat_ms, *self._recoveries(needed, heartbeat_ms, started_ms)])
        return TakeOver(upload_id, stage, heartbeat_ms, started_ms, available_ms)

    def _recoveries(self, names: Iterable[str], from_ms: int, until_ms: int | None) -> Iterable[int]:
        """The times (ms) between two moments at which one of `names` was available again."""
        for name in names:
            for downtime in self.world.downtimes[name]:
                at_ms = None if downtime.until is None else int(downtime.until * 1000)
                if at_ms is not None and at_ms > from_ms and (until_ms is None or at_ms <= until_ms):
                    yield at_ms

    def _count(self, run: tuple[str, Stage], failures: int, takeovers: int) -> None:
        highest = self._counts.get(run, (0, 0))
        self._counts[run] = max(highest[0], failures), max(highest[1], takeovers)
