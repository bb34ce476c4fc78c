"""Deletions: whatever fails is recorded with the deletion that it concerns, and delays no other one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from pipeline.contents.deletion import Deletions
from pipeline.core.errors import DependencyUnavailable, StoreError, StoreUnavailable
from pipeline.core.stored_objects import object_key, thumbnail_key
from pipeline.telemetry import REGISTRY
from schemas.content import ContentObject
from schemas.deletions import PendingDeletion

pytestmark = pytest.mark.unit

ERRORS = [
    json.JSONDecodeError("Expecting value", "", 0),
    KeyError("name"),
    RuntimeError("a bug"),
    ExceptionGroup("several", [ValueError("one")]),
    StoreUnavailable(reason="503"),
    StoreError("STORE_REJECTED", reason="405"),
    TimeoutError(),
]


def pending(content_id: str) -> PendingDeletion:
    def stored(key: str) -> ContentObject:
        return ContentObject(store="s", container="c", key=key, size_bytes=5, etag="", segment_count=1)

    now = datetime.now(UTC)
    return PendingDeletion(
        content_id=content_id,
        owner="alice",
        content_type="video/mp4",
        object=stored(object_key(content_id)),
        thumbnail=stored(thumbnail_key(content_id)),
        deleted_at=now,
        attempts=0,
        due_at=now,
        error_code=None,
        error=None,
    )


class Repository:
    """`ports.DeletionRepository` in memory. `errors`: what `defer` and `finish` raise for a content."""

    def __init__(self, *ids: str) -> None:
        self.due = [pending(name) for name in ids]
        self.finished: set[str] = set()
        self.deferred: dict[str, tuple[str, str]] = {}
        self.errors: dict[str, Exception] = {}

    async def begin(self, content_id: str, lease_seconds: float, owner: str | None) -> PendingDeletion:
        return pending(content_id)

    async def backlog(self) -> tuple[int, float]:
        return len(self.due), 90.0

    async def claim(self, limit: int, lease_seconds: float) -> Sequence[PendingDeletion]:
        return self.due

    async def finish(self, content_id: str) -> None:
        if content_id in self.errors:
            raise self.errors[content_id]
        self.finished.add(content_id)

    async def defer(self, content_id: str, error: tuple[str, str], after_seconds: float) -> None:
        if content_id in self.errors:
            raise self.errors[content_id]
        self.deferred[content_id] = error


class Store:
    """`errors`: what the removal of a key raises."""

    name = "s"

    def __init__(self, errors: dict[str, Exception]) -> None:
        self.errors = errors
        self.deleted: set[str] = set()

    def named(self, name: str) -> Any:
        return self

    async def delete(self, key: str) -> None:
        await asyncio.sleep(0)
        if key in self.errors:
            raise self.errors[key]
        self.deleted.add(key)

    async def abort(self, target: Any) -> None:
        await asyncio.sleep(0)


def deletions(repository: Repository, store: Store) -> Deletions:
    return Deletions(cast(Any, repository), cast(Any, store), None)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_a_deletion_that_fails_is_recorded_and_cancels_no_other(error: Exception) -> None:
    repository = Repository(*"abcdefgh")
    store = Store({object_key("c"): error})
    assert await deletions(repository, store).sweep() == 8
    assert repository.finished == set("abdefgh")
    code, said = repository.deferred["c"]
    assert set(repository.deferred) == {"c"}
    assert code in ("STORE_UNAVAILABLE", "STORE_REJECTED", "DELETION_CRASHED")
    assert said
    if code == "DELETION_CRASHED":
        assert type(error).__name__ in said


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_a_request_gets_what_it_gets_for_an_outage(error: Exception) -> None:
    repository = Repository()
    assert await deletions(repository, Store({object_key("a"): error})).delete("a", None) is False
    assert set(repository.deferred) == {"a"}
    assert await deletions(repository, Store({})).delete("b", None) is True


async def test_a_thumbnail_is_removed_although_the_object_cannot_be() -> None:
    repository = Repository("a")
    store = Store({object_key("a"): StoreUnavailable(reason="500")})
    await deletions(repository, store).sweep()
    assert store.deleted == {thumbnail_key("a")}
    assert set(repository.deferred) == {"a"}


@pytest.mark.parametrize(
    "error", [DependencyUnavailable("DATABASE_UNAVAILABLE", reason="down"), KeyError("row"), RuntimeError()]
)
async def test_what_cannot_be_recorded_cancels_no_other(error: Exception) -> None:
    repository = Repository(*"abcd")
    repository.errors = {"b": error, "c": error}
    store = Store({object_key("c"): ValueError()})
    assert await deletions(repository, store).sweep() == 4
    assert repository.finished == {"a", "d"}
    assert await deletions(repository, store).delete("b", None) is False


async def test_pending_deletions_are_measured() -> None:
    await deletions(Repository("a", "b"), Store({})).measure()
    assert REGISTRY.get_sample_value("sluice_pending_deletions") == 2
    assert REGISTRY.get_sample_value("sluice_oldest_pending_deletion_seconds") == 90
