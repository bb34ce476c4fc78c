"""The runner of replays: what it waits for, what it gives up, and what it records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from pipeline.bootstrap.replays import MAKERS
from pipeline.core.errors import DependencyUnavailable, MediaError, SluiceError, StageLost, StoreError, StoreUnavailable
from pipeline.core.stages import REPLAYABLE
from pipeline.ports.replays import NothingYet, ReplayClaim
from pipeline.upkeep.replayed_content import FaultyContent
from pipeline.upkeep.replays import ReplayRules, ReplayRunner

pytestmark = pytest.mark.unit

CLAIM = ReplayClaim("replay", "content", 1)


class Recorded:
    """A repository that gives the claims of a list, and records what becomes of them."""

    def __init__(self, *claims: ReplayClaim | NothingYet | Exception) -> None:
        self._claims = list(claims)
        self.calls: list[tuple[Any, ...]] = []

    async def claim(self, replay_id: str, lease_seconds: float) -> ReplayClaim | NothingYet | None:
        if not self._claims:
            return None
        found = self._claims.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    async def get(self, replay_id: str) -> Any:
        return self

    state, changed, failed = "done", 0, 0

    async def finish(self, claim: ReplayClaim, outcome: str) -> None:
        self.calls.append(("finish", outcome))

    async def fail(self, claim: ReplayClaim, error: SluiceError) -> None:
        self.calls.append(("fail", error.code))

    async def release(self, claim: ReplayClaim) -> None:
        self.calls.append(("release", claim.run))


class Contents:
    """Raises the errors of a list one after another, then the outcome is `changed`."""

    def __init__(self, *errors: Exception, refuses: StoreError | None = None) -> None:
        self._errors = list(errors)
        self._refuses = refuses
        self.remade = 0

    async def remake(self, claim: ReplayClaim) -> str:
        self.remade += 1
        if self._errors:
            raise self._errors.pop(0)
        return "changed"

    async def clear(self, claim: ReplayClaim) -> None:
        if self._refuses is not None:
            raise self._refuses


async def run(replays: Recorded, contents: Contents, outage_seconds: float = 600) -> list[tuple[Any, ...]]:
    runner = ReplayRunner(cast("Any", replays), cast("Any", contents), ReplayRules(outage_seconds=outage_seconds))
    await runner.run("replay")
    return replays.calls


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    sleep: Callable[..., Any] = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda seconds: sleep(0 if seconds < 4 else seconds))


def tool() -> SluiceError:
    return SluiceError("MEDIA_TOOL_FAILED", tool="reader", reason="killed")


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([], [("finish", "changed")]),
        ([FaultyContent(MediaError("NOT_MEDIA", reason="text"))], [("fail", "NOT_MEDIA")]),
        ([tool(), tool()], [("finish", "changed")]),
        ([tool(), tool(), tool()], [("fail", "MEDIA_TOOL_FAILED")]),
        ([KeyError("a bug")], [("fail", "STAGE_CRASHED")]),
        ([StageLost("STAGE_LOST", stage="replay")], [("release", 1)]),
        ([StoreUnavailable(reason="off"), DependencyUnavailable("DATABASE_UNAVAILABLE")], [("finish", "changed")]),
    ],
    ids=["none", "the file's", "a busy machine", "a tool that fails", "a bug", "a lost claim", "outages"],
)
async def test_what_becomes_of_a_content(errors: list[Exception], expected: list[tuple[str, Any]]) -> None:
    assert await run(Recorded(CLAIM), Contents(*errors)) == expected


async def test_what_an_earlier_runner_has_written_is_only_cleared_up() -> None:
    contents = Contents()
    assert await run(Recorded(ReplayClaim("replay", "content", 2, "changed")), contents) == [("finish", "changed")]
    assert contents.remade == 0


async def test_a_store_that_refuses_a_removal_is_recorded_with_the_content() -> None:
    refused = StoreError("STORE_REJECTED", reason="no right to delete")
    assert await run(Recorded(CLAIM), Contents(refuses=refused)) == [("fail", "STORE_REJECTED")]


async def test_a_content_that_ends_its_runners_is_given_up() -> None:
    contents = Contents()
    assert await run(Recorded(ReplayClaim("replay", "content", 11)), contents) == [("fail", "STAGE_CRASHED")]
    assert contents.remade == 0


async def test_a_run_ends_when_an_outage_takes_too_long() -> None:
    outage = [StoreUnavailable(reason="off")] * 9
    replays = Recorded(CLAIM)
    with pytest.raises(ExceptionGroup) as ended:
        await run(replays, Contents(*outage), outage_seconds=0)
    assert ended.group_contains(StoreUnavailable)
    assert replays.calls == [("release", 1)]


async def test_a_database_that_is_unavailable_is_asked_again() -> None:
    unavailable = DependencyUnavailable("DATABASE_UNAVAILABLE", reason="restarting")
    assert await run(Recorded(unavailable, NothingYet(0.5), CLAIM), Contents()) == [("finish", "changed")]


def test_every_replayable_stage_can_be_made() -> None:
    assert set(MAKERS) == set(REPLAYABLE)
