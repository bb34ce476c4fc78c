"""The round trip through every real store: what works is confirmed, nothing is left behind."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from uuid6 import UUID as UUID6
from uuid6 import uuid7

from pipeline.adapters.object_store.filesystem import FilesystemObjectStore
from pipeline.adapters.plain_http import HttpPlainClient
from pipeline.contents.round_trip import CHECK_NAME, examine_store
from pipeline.core.capabilities import CAPABILITIES, CLIENT_CAPABILITIES, Capability
from pipeline.ports import Store
from tests.contract.object_store.uploads import Scenario, keys

pytestmark = pytest.mark.contract


async def everything(store: Store) -> set[str]:
    """Every name in the store, also of open uploads."""
    return set(await keys(store))


def clients_are_offered_urls(store: Store) -> bool:
    """Swift makes TempURLs only with a key, which these stores have not; a directory makes none."""
    return store.name == "s3"


@pytest.mark.parametrize("thorough", [True, False])
async def test_what_works_is_confirmed_and_nothing_is_left(
    store: Store, plain: HttpPlainClient, thorough: bool
) -> None:
    report = await examine_store(store, plain, thorough=thorough)
    for found in report.examined:
        if found.capability in CLIENT_CAPABILITIES and not clients_are_offered_urls(store):
            assert (found.works, found.offered) == (False, False), found
        else:
            assert found.works, found
    joins = thorough or store.name != "s3"
    assert {found.capability for found in report.examined} == set(CAPABILITIES) - (
        set() if joins else {Capability.SEGMENTS}
    )
    assert not report.broken
    assert not report.unknown
    assert store.container in report.description
    assert await everything(store) == set()


async def test_a_cancelled_round_trip_leaves_nothing(store: Store, plain: HttpPlainClient) -> None:
    """Cancelled ever later, until a run completes."""
    for pause_seconds in (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6):
        task = asyncio.create_task(examine_store(store, plain, thorough=False))
        await asyncio.wait({task}, timeout=pause_seconds)
        if task.done():
            break
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await everything(store) == set()


async def test_what_a_killed_round_trip_left_is_removed_after_an_hour(store: Store, plain: HttpPlainClient) -> None:
    """Its objects, segments and open uploads; not those of a round trip that may still run, and no content."""

    def name_of(age_seconds: float) -> str:
        now = uuid7()
        return str(UUID6(int=now.int - (int(age_seconds * 1000) << 80)))

    kept: set[str] = set()
    for age_seconds in (7200.0, 60.0):
        name = name_of(age_seconds)
        before = await everything(store)
        sealed = Scenario(store, key=f"{CHECK_NAME}/{name}/joined", upload_id=f"{CHECK_NAME}-{name}")
        await sealed.sealed()
        open_upload = Scenario(store, key=f"{CHECK_NAME}/{name}/single", upload_id=f"{CHECK_NAME}-{name}-x")
        await open_upload.begin()
        await open_upload.put(1)
        await store.put_object(f"{CHECK_NAME}/{name}/plain", b"x", "text/plain")
        kept = await everything(store) - before
    content_key = f"contents/{uuid.uuid4()}/original"
    await store.put_object(content_key, b"x", "text/plain")
    await examine_store(store, plain, thorough=False)
    assert await everything(store) == kept | {content_key}


async def test_a_directory_has_no_urls(plain: HttpPlainClient, tmp_path_factory: pytest.TempPathFactory) -> None:
    async with FilesystemObjectStore(tmp_path_factory.mktemp("store"), fsync=False) as store:
        report = await examine_store(store, plain, thorough=True)
    put = report.of(Capability.PRESIGNED_PUT)
    assert put is not None
    assert "no URLs for clients" in put.reason
