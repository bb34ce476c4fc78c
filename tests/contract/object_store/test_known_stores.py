"""What a gateway knows about its stores: it learns, remembers through an outage, and learns again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from pipeline.adapters.object_store.s3 import S3ObjectStore
from pipeline.adapters.plain_http import HttpPlainClient
from pipeline.contents.known_stores import ExaminedStores, KnowledgeRules
from pipeline.core.capabilities import CLIENT_CAPABILITIES, Capability, StoreReport
from pipeline.core.errors import StoreError, StoreUnavailable
from pipeline.ports import Store
from tests.harness.faults.altering_proxy import AlteringProxy, Passing, unchanged

pytestmark = pytest.mark.contract


def unavailable(passing: Passing) -> None:
    passing.status = 503


def without_disposition(passing: Passing) -> None:
    passing.response_headers.popall("Content-Disposition", None)


class _OneStore:
    def __init__(self, store: Store) -> None:
        self._store = store

    def every(self) -> list[Store]:
        return [self._store]

    def named(self, name: str) -> Store:
        if name != self._store.name:
            raise StoreError("STORE_REJECTED", reason="no such store")
        return self._store


QUICK = KnowledgeRules("s3", wait_seconds=20, retry_seconds=0.05, broken_seconds=0.05, every_seconds=0.05)


async def _until(known: ExaminedStores, condition: Callable[[StoreReport], bool]) -> StoreReport:
    async with asyncio.timeout(30):
        while (report := await known.report("s3")) is None or not condition(report):  # noqa: ASYNC110  # of many reports
            await asyncio.sleep(0.02)
    return report


async def test_a_gateway_learns_remembers_and_learns_again(
    through: S3ObjectStore, proxy: AlteringProxy, plain: HttpPlainClient
) -> None:
    def works(report: StoreReport) -> bool:
        return report.works(Capability.PRESIGNED_GET)

    proxy.before = unavailable
    async with ExaminedStores(_OneStore(through), plain, QUICK) as known:
        first = await _until(known, lambda report: report.unknown)
        assert not any(first.works(capability) for capability in CLIENT_CAPABILITIES), "unknown is not offered"
        proxy.before = unchanged
        await _until(known, works)
        assert known.problems() == []
        proxy.after = without_disposition
        await _until(known, lambda report: not works(report))
        assert any("presigned GET" in problem for problem in known.problems())
        proxy.after = unchanged
        await _until(known, works)
        refused = 0

        def count_and_refuse(passing: Passing) -> None:
            nonlocal refused
            refused += 1
            unavailable(passing)

        proxy.before = count_and_refuse
        await _until(known, lambda _: refused > 20)
        report = await known.report("s3")
        assert report is not None
        assert works(report), "an outage does not change what is known"
        proxy.before = unchanged
        await _until(known, lambda report: not report.left)  # nothing could be removed during the outage
    assert [name async for name in through.list_keys()] == []


async def test_a_listing_that_lags_behind_delays_no_client(
    through: S3ObjectStore, proxy: AlteringProxy, plain: HttpPlainClient
) -> None:
    """What a client needs is known while the store still says that its listing is unavailable."""
    listed = 0

    def no_listing(passing: Passing) -> None:
        nonlocal listed
        if passing.method == "GET" and "list-type" in passing.path_qs:
            listed += 1
            passing.status = 503

    proxy.before = no_listing
    async with ExaminedStores(_OneStore(through), plain, QUICK) as known:
        report = await known.report("s3")
        assert report is not None
        assert all(report.works(capability) for capability in CLIENT_CAPABILITIES)
        await _until(known, lambda report: report.of(Capability.LIST) is not None)
        assert listed > 0
        proxy.before = unchanged
        await _until(known, lambda report: report.works(Capability.LIST) and not report.left)
    assert [name async for name in through.list_keys()] == []


async def test_requests_wait_while_the_first_examinations_are_spoiled(
    through: S3ObjectStore, plain: HttpPlainClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, calls = through.check, 0

    async def late() -> str:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise StoreUnavailable(reason="late")
        return await check()

    monkeypatch.setattr(through, "check", late)
    async with ExaminedStores(_OneStore(through), plain, QUICK) as known:
        report = await known.report("s3")
    assert report is not None
    assert report.works(Capability.PRESIGNED_PUT)
    assert calls == 3


async def test_trusted_grants_are_not_examined(through: S3ObjectStore, plain: HttpPlainClient) -> None:
    async with ExaminedStores(_OneStore(through), plain, replace(QUICK, trusted=True)) as known:
        report = await known.report("s3")
        assert report is not None
        assert all(report.works(capability) for capability in CLIENT_CAPABILITIES)
        with pytest.raises(StoreError, match="no such store"):
            await known.report("swift")
