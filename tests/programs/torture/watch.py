"""Reads the board while the run goes on: every event, and every sign of life of a stage's run.

A take-over is a run of a stage that was not heard of for a whole lease, and that the board gave to somebody else. Its
time is counted from the dead run's last heartbeat to the start of the run that goes on, on Redis' clock. What must be
there for that (Redis, a worker of the type, the admission worker) may itself have been away: the time is also counted
from when the last of these was back, where that is later.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from pipeline.adapters.redis.reads import hash_all
from pipeline.core.stages import GRAPH, Stage, StageState
from tests.programs.torture.board import signs
from tests.programs.torture.world import World

_LOOK_SECONDS = 0.2
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class TakeOver:
    """One of them; times in milliseconds of Redis' clock. `started_ms` None: nobody has started it (its upload has
    ended)."""

    upload_id: str
    stage: Stage
    last_sign_ms: int
    started_ms: int | None
    able_ms: int
    """When everything was there that it takes, at the earliest the last sign."""

    @property
    def seconds(self) -> float | None:
        return None if self.started_ms is None else (self.started_ms - self.last_sign_ms) / 1000

    @property
    def able_seconds(self) -> float | None:
        return None if self.started_ms is None else (self.started_ms - self.able_ms) / 1000


@dataclass
class Watch:
    """What was seen so far."""

    world: World
    events: dict[str, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))
    """By upload: when (ms), and what."""
    _last_id: str = "0"
    _signs: dict[tuple[str, Stage], tuple[int, int]] = field(default_factory=dict)
    """By upload and stage: latest sign of life (ms), and take-overs counted by then."""
    _dead: list[tuple[str, Stage, int]] = field(default_factory=list)
    _most: dict[tuple[str, Stage], tuple[int, int]] = field(default_factory=dict)
    """By upload and stage: failures and take-overs, the most that the board has ever counted."""

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            with suppress(RedisError):  # it is broken on purpose
                await self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Take in what is new. Raises RedisError."""
        redis, keys = self.world.redis, self.world.keys
        while entries := await redis.xread({keys.events: self._last_id}, count=_BATCH):
            for entry_id, entry in entries[0][1]:
                self._last_id = entry_id
                text = f"{entry['kind']} {entry['name']} {entry['value']} {entry['error_code']}".rstrip()
                self.events[entry["upload_id"]].append((int(entry_id.partition("-")[0]), text))
        lease_ms = int(self.world.settings.stage_lease_seconds * 1000)
        for sign in await signs(redis, keys):
            run = (sign.upload_id, sign.stage)
            self._count(run, sign.failures, sign.takeovers)
            known = self._signs.get(run)
            if known is not None and sign.takeovers > known[1]:
                self._dead.append((*run, known[0]))
                self._signs[run] = (known[0], sign.takeovers)
            if sign.state is StageState.RUNNING:
                self._signs[run] = (sign.until_ms - lease_ms, sign.takeovers)

    def takeovers(self) -> list[TakeOver]:
        """Those of which the dead run was seen alive."""
        return [self._takeover(*dead) for dead in self._dead]

    def _takeover(self, upload_id: str, stage: Stage, last_sign_ms: int) -> TakeOver:
        # What starts before the dead run's lease has ended is that run itself; halved, since signs are samples.
        lease_ms = int(self.world.settings.stage_lease_seconds * 1000)
        after_ms = last_sign_ms + lease_ms // 2
        starts = (at for at, text in self.events[upload_id] if at > after_ms and text == f"stage {stage} running")
        started_ms = next(starts, None)
        worker = GRAPH[stage].worker
        needed = ("redis", f"worker-{worker}", "worker-admission")
        able_ms = max([last_sign_ms, *self._returns(needed, last_sign_ms, started_ms)])
        return TakeOver(upload_id, stage, last_sign_ms, started_ms, able_ms)

    def _returns(self, names: Iterable[str], from_ms: int, until_ms: int | None) -> Iterable[int]:
        """When absences ended that fell between two moments."""
        for name in names:
            for absence in self.world.absences[name]:
                back_ms = None if absence.until is None else int(absence.until * 1000)
                if back_ms is not None and back_ms > from_ms and (until_ms is None or back_ms <= until_ms):
                    yield back_ms

    def _count(self, run: tuple[str, Stage], failures: int, takeovers: int) -> None:
        most = self._most.get(run, (0, 0))
        self._most[run] = max(most[0], failures), max(most[1], takeovers)

    async def sums(self, upload_ids: Iterable[str]) -> tuple[int, int]:
        """Over all uploads: attempts that had to be repeated, and take-overs. What the board counted between two looks
        and lost before the third is not in it. Raises RedisError."""
        for upload_id in upload_ids:
            fields = await hash_all(self.world.redis, self.world.keys.upload(upload_id))
            for stage in Stage:
                counts = (int(fields.get(f"stage.{stage}.{name}", "0")) for name in ("failures", "takeovers"))
                self._count((upload_id, stage), *counts)
        return sum(failures for failures, _ in self._most.values()), sum(taken for _, taken in self._most.values())
