"""Replays: running a stage again for stored contents."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from pipeline.core.errors import SluiceError

if TYPE_CHECKING:
    from pipeline.ports.media import ByteSource, Frame
    from schemas.content import Content
    from schemas.replays import Replay, ReplayFailure, ReplayFilters, ReplayMatch, ReplayOutcome

ColumnValue = str | int | float | bool | datetime | None
"""JSON columns are JSON as text."""


@dataclass(frozen=True, slots=True)
class Remade:
    """What a stage makes of a stored content. `columns`: columns of `contents` and their values; those that are left
    out stay as they are. `frame`: a new thumbnail; None: the thumbnail stays."""

    columns: Mapping[str, ColumnValue] = field(default_factory=dict)
    frame: Frame | None = None


class Replayable(Protocol):
    """A stage that can be run again for a stored content."""

    async def __call__(self, content: Content, source: ByteSource) -> Remade:
        """Read what is needed of the file and say what the content gets. Writes nothing, and may be repeated and
        cancelled. Raises MediaError for a file that cannot be read; the content then keeps what it has."""


@dataclass(frozen=True, slots=True)
class ReplayClaim:
    """A content that one runner has until its lease ends. `run` is a fencing token. `outcome`: what an earlier runner
    has written; only obsolete thumbnails are to be removed."""

    replay_id: str
    content_id: str
    run: int
    outcome: ReplayOutcome | None = None


@dataclass(frozen=True, slots=True)
class NothingYet:
    """No content may be taken before `seconds` have passed: because of the rate, or because other runners have the rest
    and may die."""

    seconds: float


class ReplayRepository(Protocol):
    """Replays and what their runners have. Errors: DependencyUnavailable; RequestError REPLAY_NOT_FOUND where an id is
    given. Methods that take a claim raise StageLost unless it is the caller's still."""

    async def match(self, filters: ReplayFilters) -> ReplayMatch:
        """How many contents match now."""

    async def create(self, stage: str, filters: ReplayFilters, rate: float | None) -> Replay:
        """Record a replay of the contents that exist now. It is `running`, and begins when a runner takes contents."""

    async def get(self, replay_id: str) -> Replay: ...

    async def newest(self, limit: int) -> Sequence[Replay]:
        """Up to `limit` replays, newest first."""

    async def failures(self, replay_id: str, limit: int) -> Sequence[ReplayFailure]:
        """Up to `limit` contents that failed, in the order of their ids."""

    async def stop(self, replay_id: str) -> Replay:
        """Give no content to runners any more. A replay that is done stays so. Idempotent."""

    async def resume(self, replay_id: str, rate: float | None, *, failed: bool) -> Replay:
        """Continue a replay that was stopped. `rate`: the new one; None: it stays. `failed`: try contents that failed
        once more, also of a replay that is done. Idempotent."""

    async def claim(self, replay_id: str, lease_seconds: float) -> ReplayClaim | NothingYet | None:
        """The next content, for the caller alone until its lease ends; first those whose runner died. None: the replay
        is stopped or done. A replay whose last content is done becomes `done` here."""

    async def renew(self, claims: Collection[ReplayClaim], lease_seconds: float) -> None:
        """Extend the leases of those claims that are the caller's still. Idempotent."""

    async def release(self, claim: ReplayClaim) -> None:
        """Give a content back, for the next runner. Idempotent; does nothing for a claim that is lost."""

    async def announce(self, claim: ReplayClaim, store: str, keys: Collection[str]) -> None:
        """Record thumbnails that are about to be stored or replaced, before that is done, so that none is lost."""

    async def apply(
        self, claim: ReplayClaim, columns: Mapping[str, ColumnValue], replaced: str | None = None
    ) -> ReplayOutcome:
        """Write the columns in one transaction, if one of them changes the row, and the outcome with them. `replaced`:
        the key of the thumbnail that a new one replaces. Counts the content at once if no thumbnails are announced;
        otherwise `finish` does. Repeating it returns the first outcome. Raises StageLost, also where the content has
        another thumbnail than `replaced` meanwhile."""

    async def obsolete(self, claim: ReplayClaim) -> tuple[str, Sequence[str]]:
        """The store and the keys of announced thumbnails that the content does not name."""

    async def finish(self, claim: ReplayClaim, outcome: ReplayOutcome) -> None:
        """Count a content, once. Does nothing for a claim that is lost or was counted."""

    async def fail(self, claim: ReplayClaim, error: SluiceError) -> None:
        """Record that the stage failed for a content. Does nothing for a claim that is lost."""
