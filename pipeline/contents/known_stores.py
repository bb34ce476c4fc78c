"""What is known about the stores: `ports.KnownStores`, kept up to date by examining them.

Guarantee: a capability for clients is confirmed only after this process has seen it work. Until a store has been
examined, nothing is confirmed: the gateway streams downloads itself and refuses direct uploads for now, because a wrong
URL would give clients wrong bytes, and a missing one only costs the gateway some work.

The store of new uploads is examined at start, others when they are first needed. What clients need is examined first,
and requests wait for no more: listings may lag behind. An examination that the store's outage spoils is repeated, and
does not change what is known. A process keeps its knowledge to itself, so gateways on
several machines need no coordination, and each one finds out what its own network allows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self

from pipeline.contents.round_trip import examine_store
from pipeline.core.capabilities import StoreReport, assumed
from pipeline.logs import Log, logger
from pipeline.ports import PlainClient, PresignedDownloads, PresignedUploads, Store, Stores
from pipeline.tasks import end_tasks

_END_SECONDS = 2.0
_MOST_SPOILED = 3
"""Examinations that an outage may spoil before requests are told that nothing is known."""


@dataclass(frozen=True, slots=True)
class KnowledgeRules:
    """`first`: the store that is examined at start. `trusted`: nothing is examined, and everything is confirmed.

    `wait_seconds`: how long a request waits for the first report. `retry_seconds`: the longest pause after an
    examination that was spoiled; the first one is a tenth of it, and each further one twice as long. `broken_seconds`:
    the pause while something does not work that the store is configured for, so that a repaired configuration is
    noticed. `every_seconds`: the pause otherwise.
    """

    first: str
    trusted: bool = False
    wait_seconds: float = 10.0
    retry_seconds: float = 5.0
    broken_seconds: float = 30.0
    every_seconds: float = 3600.0


@dataclass
class _Entry:
    report: StoreReport | None = None
    examined: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class ExaminedStores:
    """Opened by `async with`; one per gateway."""

    def __init__(self, stores: Stores, client: PlainClient, rules: KnowledgeRules) -> None:
        self._stores = stores
        self._client = client
        self._rules = rules
        self._entries: dict[str, _Entry] = {}

    async def __aenter__(self) -> Self:
        self._entry(self._stores.named(self._rules.first))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends examinations. They remove what they have stored, unless the store is slow: then a later examination
        does."""
        await end_tasks(*(entry.task for entry in self._entries.values()), most_seconds=_END_SECONDS)

    async def report(self, store: str) -> StoreReport | None:
        """See `KnownStores.report`."""
        entry = self._entry(self._stores.named(store))
        if entry.report is None and not entry.examined.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._rules.wait_seconds):
                    await entry.examined.wait()
        return entry.report

    def problems(self) -> Sequence[str]:
        """What stores are configured for and what does not work, a sentence each; not an outage, which passes."""
        return [
            f"{entry.report.store}: {found.capability}: {found.reason}"
            for entry in self._entries.values()
            if entry.report is not None
            for found in entry.report.broken
            if not found.transient
        ]

    def _entry(self, store: Store) -> _Entry:
        if store.name not in self._entries:
            entry = self._entries[store.name] = _Entry()
            if self._rules.trusted:
                entry.report = assumed(store.name, works=True)
            elif not isinstance(store, PresignedDownloads | PresignedUploads):
                entry.report = assumed(store.name, works=False)
            else:
                entry.task = asyncio.create_task(self._keep(store, entry), name=f"examine-{store.name}")
        return self._entries[store.name]

    async def _keep(self, store: Store, entry: _Entry) -> None:
        """Examine one store until cancelled."""
        log = logger(store=store.name)
        spoiled = 0
        while True:
            pause_seconds = self._rules.broken_seconds
            try:
                left = entry.report.left if entry.report is not None else frozenset[str]()
                report = await examine_store(
                    store, self._client, thorough=False, left=left, on_clients=partial(self._learn, entry)
                )
            except Exception:  # a bug in the examination must not end it for good
                log.exception(Log.STORE_NOT_EXAMINED)
            else:
                before, entry.report = entry.report, report.after(entry.report)
                if before != entry.report:
                    works = [str(found.capability) for found in entry.report.examined if found.works]
                    broken = {str(found.capability): found.reason for found in entry.report.broken}
                    log.log(logging.WARNING if broken else logging.INFO, Log.STORE_EXAMINED, works=works, broken=broken)
                spoiled = spoiled + 1 if report.unknown else 0
                pause_seconds = self._pause_seconds(report, spoiled)
            if not 0 < spoiled < _MOST_SPOILED:
                entry.examined.set()
            await asyncio.sleep(pause_seconds)

    def _pause_seconds(self, report: StoreReport, spoiled: int) -> float:
        if spoiled:
            return float(min(1.0, 0.1 * 2 ** min(spoiled - 1, 4))) * self._rules.retry_seconds
        return self._rules.broken_seconds if report.broken else self._rules.every_seconds

    @staticmethod
    def _learn(entry: _Entry, report: StoreReport) -> None:
        """Answer the requests that wait for the first report. Later ones are complete when they replace an earlier."""
        if entry.report is None and not report.unknown:
            entry.report = report
            entry.examined.set()
