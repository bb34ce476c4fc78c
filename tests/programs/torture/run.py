"""One run: war, peace, audit.

War lasts as long as the schedule says; then nothing is broken any more, and every upload has `_PEACE_SECONDS` to end.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import aiohttp

from tests.harness.cell import ENDED
from tests.programs.torture import audit
from tests.programs.torture.client import FORGOTTEN, Client, Effort, Sent
from tests.programs.torture.faults import strike
from tests.programs.torture.files import make_file
from tests.programs.torture.schedule import PlannedFault, PlannedUpload, Schedule
from tests.programs.torture.watch import TakeOver, Watch
from tests.programs.torture.world import SCALES, World

PEACE_SECONDS = 180.0
_LOOK_SECONDS = 0.5

T = TypeVar("T", PlannedFault, PlannedUpload)


@dataclass
class Outcome:
    """What a run has shown."""

    schedule: Schedule
    store: str
    seconds: float
    peace_seconds: float
    faults: Counter[str]
    sents: list[Sent]
    effort: Effort
    stage_retries: int
    takeover_count: int
    takeovers: list[TakeOver]
    lost: dict[int, str]
    left_over: list[str]
    deaths: list[str]
    notes: list[str]
    events: dict[str, list[tuple[int, str]]]

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.left_over)


async def run(world: World, schedule: Schedule, say: Callable[[str], None]) -> Outcome:
    """All of it. `say` is told how it goes."""
    began = time.monotonic()
    watch, effort = Watch(world), Effort()
    sents: list[Sent] = []
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
        asyncio.TaskGroup() as background,
    ):
        client = Client(http, world.gateways, effort)
        minders = [background.create_task(work) for work in (world.watch_over(), world.watch_ready(), watch.run())]
        clients: list[asyncio.Task[None]] = []

        async def begin(plan: PlannedUpload) -> None:
            sent = Sent(plan, await asyncio.to_thread(make_file, plan, SCALES[world.settings.store]))
            sents.append(sent)
            clients.append(background.create_task(client.send(sent)))

        async def fault(plan: PlannedFault) -> None:
            say(f"{time.monotonic() - began:6.1f} s  {plan.kind}: {plan.target}, for {plan.for_seconds:.1f} s")
            await strike(world, plan)

        async with asyncio.TaskGroup() as war:
            war.create_task(_in_time(schedule.faults, fault, war))
            war.create_task(_in_time(schedule.uploads, begin, war))
        peace_began = time.monotonic()
        say(f"{peace_began - began:6.1f} s  peace: {sum(not _has_ended(sent) for sent in sents)} uploads under way")
        await world.until_up(90)
        with suppress(TimeoutError):
            async with asyncio.timeout(PEACE_SECONDS):
                await _until_ended(client, sents)
        peace_seconds = time.monotonic() - peace_began
        say(f"{time.monotonic() - began:6.1f} s  audit")
        for task in clients:
            task.cancel()
        lost = await audit.lost(world, client, sents)
        left_over = await audit.left_over(world, sents)
        await watch.look()
        for task in minders:
            task.cancel()
    retries, takeovers = await watch.sums([sent.upload_id for sent in sents if sent.upload_id])
    return Outcome(
        schedule,
        world.settings.store,
        time.monotonic() - began,
        peace_seconds,
        world.faults,
        sents,
        effort,
        retries,
        takeovers,
        watch.takeovers(),
        lost,
        left_over,
        world.deaths,
        world.notes,
        watch.events,
    )


async def _in_time(items: Iterable[T], do: Callable[[T], Awaitable[None]], group: asyncio.TaskGroup) -> None:
    """Each at its time, beside those that still go on."""
    clock = asyncio.get_running_loop().time
    began = clock()

    async def one(item: T) -> None:
        await do(item)

    for item in items:
        await asyncio.sleep(max(0.0, began + item.at_seconds - clock()))
        group.create_task(one(item))


def _has_ended(sent: Sent) -> bool:
    return sent.status in ENDED | {FORGOTTEN} or sent.error is not None


async def _until_ended(client: Client, sents: Iterable[Sent]) -> None:
    """Every client has done what it wanted, and every upload has ended."""
    for sent in sents:
        while not sent.is_done:  # noqa: ASYNC110  # its client goes on by itself
            await asyncio.sleep(_LOOK_SECONDS)
        while not _has_ended(sent):
            await client.look(sent)
            await asyncio.sleep(_LOOK_SECONDS)
