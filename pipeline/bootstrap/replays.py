"""Builds replays from the settings: a runner for each stage that can be run again, and what commands ask.

A stage of one's own takes part with an entry in `core.stages.REPLAYABLE` and one here: an implementation of
`ports.replays.Replayable`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from pipeline.adapters.postgres.pool import LazyPool
from pipeline.adapters.postgres.replays import PostgresReplays
from pipeline.core.stages import Stage
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.ports.replays import Replayable
    from pipeline.upkeep.replays import ReplayRules, ReplayRunner


async def _probe(stack: AsyncExitStack, settings: Settings) -> Replayable:
    from pipeline.bootstrap.media import media_reader
    from pipeline.stages.remaking import ProbeAgain

    return ProbeAgain(await stack.enter_async_context(media_reader(settings)))


async def _thumbnail(stack: AsyncExitStack, settings: Settings) -> Replayable:
    from pipeline.bootstrap.media import media_reader
    from pipeline.stages.remaking import ThumbnailAgain

    return ThumbnailAgain(await stack.enter_async_context(media_reader(settings)))


MAKERS: Mapping[Stage, Callable[[AsyncExitStack, Settings], Awaitable[Replayable]]] = {
    Stage.PROBE: _probe,
    Stage.THUMBNAIL: _thumbnail,
}
"""What is opened on the stack is closed when the runner ends."""


@asynccontextmanager
async def replay_runner(settings: Settings, stage: Stage, rules: ReplayRules) -> AsyncIterator[ReplayRunner]:
    """A runner of replays of this stage. Raises UnconfinedError if the stage reads files and the sandbox does not
    work."""
    from pipeline.bootstrap.shared import cache_purge, content_repository
    from pipeline.bootstrap.stores import open_stores
    from pipeline.upkeep.replayed_content import ReplayedContents
    from pipeline.upkeep.replays import ReplayRunner

    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(open_stores(settings))
        contents = content_repository(settings)
        stack.push_async_callback(contents.close)
        replays = PostgresReplays(contents.pool)
        purge = await cache_purge(stack, settings)
        remade = ReplayedContents(replays, contents, stores, await MAKERS[stage](stack, settings), purge)
        yield ReplayRunner(replays, remade, rules)


@asynccontextmanager
async def replay_management(settings: Settings) -> AsyncIterator[PostgresReplays]:
    """The replays in the database, for commands."""
    pool = LazyPool(settings.database_url.get_secret_value(), 1, migrates=settings.database_migrate)
    try:
        yield PostgresReplays(pool)
    finally:
        pool.terminate()
