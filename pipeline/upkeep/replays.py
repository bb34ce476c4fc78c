"""Runs a replay: takes its contents one by one, as fast as its rate permits, until it is done or stopped.

Guarantee: what a runner has is recorded in PostgreSQL with a lease that it renews. So a runner may die at any point,
and another one continues with what it had; several may run at once, and share the contents and the rate. A content that
fails is recorded with its error and stops nothing. An unavailable store or database is waited for, for a bounded time;
then the run ends, and the replay can be continued. When a run is cancelled, its contents are released.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from pipeline.core.errors import DependencyUnavailable, SluiceError, StageLost, StoreError
from pipeline.core.retry import Dependency, GiveUp, Outage, decide_outage, dependency_of, outage_policy
from pipeline.logs import Log, logger
from pipeline.ports.replays import NothingYet, ReplayClaim, ReplayRepository
from pipeline.tasks import end_tasks
from pipeline.upkeep.replayed_content import FaultyContent, ReplayedContents
from schemas.replays import Replay, ReplayOutcome

T = TypeVar("T")

_LONGEST_WAIT_SECONDS = 1.0
"""A replay that is stopped, or whose rate is changed, is noticed so soon."""
_RELEASE_SECONDS = 5.0
_MOST_RUNS = 10
"""A content whose runners ended so often is not tried again."""
_TOOL_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class ReplayRules:
    """`concurrency`: contents at once. `lease_seconds`: after so long, a content of a runner that died is given to
    another one. `outage_seconds`: how long a store or database may be unavailable."""

    concurrency: int = 1
    lease_seconds: float = 20.0
    outage_seconds: float = 600.0


class ReplayRunner:
    """Runs replays of one stage."""

    def __init__(self, replays: ReplayRepository, contents: ReplayedContents, rules: ReplayRules) -> None:
        self._replays = replays
        self._contents = contents
        self._rules = rules
        self._claims: set[ReplayClaim] = set()

    async def run(self, replay_id: str) -> Replay:
        """Return when no content is left, or the replay is stopped. Raises RequestError REPLAY_NOT_FOUND; an
        ExceptionGroup of the error of what was unavailable for too long."""
        log = logger(replay_id=replay_id)
        log.info(Log.REPLAY_STARTED)
        renewing = asyncio.create_task(self._renew())
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._rules.concurrency):
                    group.create_task(self._take(replay_id))
        finally:
            await end_tasks(renewing)
        replay = await self._through_outages(lambda: self._replays.get(replay_id))
        log.info(Log.REPLAY_ENDED, state=replay.state, changed=replay.changed, failed=replay.failed)
        return replay

    async def _take(self, replay_id: str) -> None:
        while (found := await self._through_outages(lambda: self._claim(replay_id))) is not None:
            if isinstance(found, NothingYet):
                await asyncio.sleep(min(found.seconds, _LONGEST_WAIT_SECONDS))
                continue
            try:
                await self._one(found)
            except StageLost:
                logger(replay_id=replay_id, content_id=found.content_id).warning(Log.REPLAY_CONTENT_LOST)
                await self._release(found)
            except BaseException:
                await self._release(found)
                raise
            finally:
                self._claims.discard(found)

    async def _claim(self, replay_id: str) -> ReplayClaim | NothingYet | None:
        found = await self._replays.claim(replay_id, self._rules.lease_seconds)
        if isinstance(found, ReplayClaim):
            self._claims.add(found)
        return found

    async def _one(self, claim: ReplayClaim) -> None:
        log = logger(replay_id=claim.replay_id, content_id=claim.content_id)
        outcome = claim.outcome
        error: SluiceError | None = None
        if outcome is None:
            try:
                outcome = await self._through_outages(lambda: self._remade(claim))
            except FaultyContent as fault:
                error = fault.error
        try:
            await self._through_outages(lambda: self._contents.clear(claim))
        except StoreError as refused:
            if dependency_of(refused) is not None:
                raise
            error = error or refused
        if error is None and outcome is not None:
            await self._through_outages(partial(self._replays.finish, claim, outcome))
            log.info(Log.REPLAY_CONTENT_DONE, outcome=outcome)
        elif error is not None:
            await self._through_outages(partial(self._replays.fail, claim, error))
            log.warning(Log.REPLAY_CONTENT_FAILED, code=error.code, reason=error.message)

    async def _remade(self, claim: ReplayClaim) -> ReplayOutcome:
        """The outcome. What is wrong with this content alone, or nobody expected, raises FaultyContent."""
        if claim.run > _MOST_RUNS:
            reason = f"{_MOST_RUNS} runs have ended before they were done with this content"
            raise FaultyContent(SluiceError("STAGE_CRASHED", stage="replay", reason=reason))
        for attempt in range(1, _TOOL_ATTEMPTS + 1):
            try:
                return await self._contents.remake(claim)
            except (FaultyContent, StageLost, DependencyUnavailable, StoreError):
                raise
            except SluiceError as error:
                if error.code != "MEDIA_TOOL_FAILED" or attempt == _TOOL_ATTEMPTS:
                    raise FaultyContent(error) from error
            except Exception as error:
                logger(content_id=claim.content_id).exception(Log.REPLAY_CONTENT_FAILED)
                reason = f"{type(error).__name__}: {error}"
                raise FaultyContent(SluiceError("STAGE_CRASHED", stage="replay", reason=reason)) from error
        raise AssertionError("the last attempt returns or raises")

    async def _through_outages(self, call: Callable[[], Awaitable[T]]) -> T:
        """The result of `call`, which is repeated while what it needs is unavailable. Raises what it raises."""
        began, failures = time.monotonic(), 0
        while True:
            try:
                return await call()
            except (DependencyUnavailable, StoreError) as error:
                dependency = dependency_of(error)
                if dependency is None and isinstance(error, DependencyUnavailable):  # the cache in front of the store
                    dependency = Dependency.STORE
                if dependency is None:
                    raise
                failures += 1
                outage = Outage(time.monotonic() - began, failures)
                policy = outage_policy(dependency)
                decision = decide_outage(error, outage, self._rules.outage_seconds, policy, random.random())
                if isinstance(decision, GiveUp):
                    raise
                logger().warning(Log.REPLAY_WAITS, code=error.code, reason=error.message, seconds=decision.seconds)
                await asyncio.sleep(decision.seconds)

    async def _renew(self) -> None:
        """Renew the leases until cancelled. A database that is unavailable costs the claims that expire meanwhile."""
        while True:
            await asyncio.sleep(self._rules.lease_seconds / 4)
            if self._claims:
                try:
                    await self._replays.renew(frozenset(self._claims), self._rules.lease_seconds)
                except SluiceError as error:
                    logger().warning(Log.REPLAY_WAITS, code=error.code, reason=error.message)

    async def _release(self, claim: ReplayClaim) -> None:
        """Release a content, also while the run is being cancelled. If that fails, its lease ends by itself."""
        try:
            async with asyncio.timeout(_RELEASE_SECONDS):
                await self._replays.release(claim)
        except (SluiceError, TimeoutError) as error:
            logger(content_id=claim.content_id).warning(Log.REPLAY_CONTENT_LOST, reason=str(error))
