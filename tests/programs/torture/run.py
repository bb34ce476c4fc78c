"""One run: the fault phase, the recovery phase, the audit.

The fault phase lasts as long as the schedule says. Then no more faults are injected, and every upload has
`RECOVERY_SECONDS` to end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import aiohttp

from pipeline.bootstrap import open_store
from pipeline.tasks import end_tasks
from tests.programs.torture.accounting import Accounting
from tests.programs.torture.acknowledged import Acknowledged
from tests.programs.torture.audit import Findings, audit
from tests.programs.torture.callers import Callers
from tests.programs.torture.client import Client, ClientUpload, Traffic
from tests.programs.torture.failover import record_failovers
from tests.programs.torture.faults import run_fault
from tests.programs.torture.files import make_file
from tests.programs.torture.notified import Notified, notified
from tests.programs.torture.opening import SCALES
from tests.programs.torture.other_ways import Sender
from tests.programs.torture.schedule import PlannedFault, PlannedUpload, Schedule
from tests.programs.torture.strangers import Strangers
from tests.programs.torture.watch import StageHistory, Watch
from tests.programs.torture.world import World

RECOVERY_SECONDS = 180.0
_READY_SECONDS = 90.0
_POLL_SECONDS = 0.5

T = TypeVar("T", PlannedFault, PlannedUpload)


@dataclass(frozen=True)
class Timing:
    """The duration of a run in seconds, and of its recovery phase."""

    total_seconds: float
    recovery_seconds: float


@dataclass(frozen=True)
class Clients:
    """What the clients of a run know: their uploads, and what they sent."""

    uploads: list[ClientUpload]
    traffic: Traffic


@dataclass(frozen=True)
class Outcome:
    """The results of a run."""

    schedule: Schedule
    world: World
    clients: Clients
    stages: StageHistory
    findings: Findings
    accounting: Accounting
    acknowledged: Acknowledged
    strangers: Strangers
    notified: Notified
    not_notified: Sequence[str]
    timing: Timing

    @property
    def is_clean(self) -> bool:
        problems = (
            self.accounting.problems,
            self.acknowledged.problems,
            self.strangers.problems,
            self.not_notified,
        )
        return self.findings.is_clean and not any(problems)


async def run(world: World, schedule: Schedule, report: Callable[[str], None]) -> Outcome:
    """Run `schedule` and audit the result. `report` receives a line for each fault and each phase."""
    began = time.monotonic()
    watch, accounting, acknowledged = Watch(world), Accounting(world), Acknowledged(world)
    clients = Clients([], Traffic())
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
        open_store(world.settings) as store,
        notified(world, schedule.seed) as endpoint,
        asyncio.TaskGroup() as background,
    ):
        callers = await Callers.of(world.settings)
        strangers = Strangers(world, http, callers, clients.uploads)
        client = Client(http, world.gateways, clients.traffic, callers.operator, acknowledged.check)
        observers = [
            background.create_task(work)
            for work in (
                world.restart_exited(),
                world.record_recoveries(),
                record_failovers(world),
                watch.run(),
                accounting.run(),
                strangers.run(),
            )
        ]
        senders: list[asyncio.Task[None]] = []

        async def start_upload(plan: PlannedUpload) -> None:
            file = await asyncio.to_thread(make_file, plan, SCALES[world.settings.store])
            upload = ClientUpload(plan, file, callers.of_upload(plan))
            clients.uploads.append(upload)
            sending = Client(http, world.gateways, clients.traffic, upload.caller, acknowledged.check)
            senders.append(background.create_task(Sender(http, sending, store).send(upload)))

        async def start_fault(plan: PlannedFault) -> None:
            report(f"{time.monotonic() - began:6.1f} s  {plan.kind}: {plan.target}, for {plan.for_seconds:.1f} s")
            await run_fault(world, plan)

        async with asyncio.TaskGroup() as planned:
            planned.create_task(_on_schedule(schedule.faults, start_fault, planned))
            planned.create_task(_on_schedule(schedule.uploads, start_upload, planned))
        recovery_began = time.monotonic()
        in_flight = sum(not upload.has_ended for upload in clients.uploads)
        report(f"{recovery_began - began:6.1f} s  end of faults: {in_flight} uploads in flight")
        await world.until_ready(_READY_SECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout(RECOVERY_SECONDS):
                await _until_ended(client, clients.uploads)
        recovery_seconds = time.monotonic() - recovery_began
        report(f"{time.monotonic() - began:6.1f} s  audit")
        await end_tasks(*senders)
        findings = await audit(world, client, clients.uploads)
        not_notified = await endpoint.problems(clients.uploads)
        await watch.update()
        await end_tasks(*observers)
        await strangers.check_all()
    stages = await watch.history(upload.upload_id for upload in clients.uploads if upload.upload_id)
    timing = Timing(time.monotonic() - began, recovery_seconds)
    return Outcome(
        schedule,
        world,
        clients,
        stages,
        findings,
        accounting,
        acknowledged,
        strangers,
        endpoint,
        not_notified,
        timing,
    )


async def _on_schedule(items: Iterable[T], start: Callable[[T], Awaitable[None]], group: asyncio.TaskGroup) -> None:
    """Start each item at its time, whether or not earlier ones have finished."""
    clock = asyncio.get_running_loop().time
    began = clock()

    async def one(item: T) -> None:
        await start(item)

    for item in items:
        await asyncio.sleep(max(0.0, began + item.at_seconds - clock()))
        group.create_task(one(item))


async def _until_ended(client: Client, uploads: Iterable[ClientUpload]) -> None:
    """Return when every client has finished and every upload has ended. None waits for another: one that never ends
    must not look like the loss of all."""

    async def one(upload: ClientUpload) -> None:
        while not upload.is_done:  # noqa: ASYNC110  # set by its client's task
            await asyncio.sleep(_POLL_SECONDS)
        while not upload.has_ended:
            await client.refresh(upload)
            await asyncio.sleep(_POLL_SECONDS)

    await asyncio.gather(*(one(upload) for upload in uploads))
