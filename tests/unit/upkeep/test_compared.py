"""Rows and objects that change while they are compared are no findings; neither is a store that is unavailable."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import google_crc32c
import pytest

from pipeline.core.cells import in_cell
from pipeline.core.digests import crc32c_digest, format_content_digest
from pipeline.core.errors import RequestError, StoreError, StoreUnavailable
from pipeline.core.stored_objects import StoredObject, object_key
from pipeline.upkeep.compared_contents import ComparedContents, CompareRules
from pipeline.upkeep.compared_objects import ComparedObjects, OrphanSearch
from pipeline.upkeep.findings import Fault, Finding
from schemas.content import Content, ContentObject
from schemas.media import MediaMetadata

pytestmark = pytest.mark.unit

DATA = b"the bytes of a video"
NAME = "01a21cbf-43aa-7d0b-b05d-7bf19f1769a1"
KEY = object_key(NAME)


def content() -> Content:
    return Content(
        id=NAME,
        filename="a.mp4",
        content_type="video/mp4",
        created_at=datetime(2026, 11, 28, tzinfo=UTC),
        kind="video",
        object=ContentObject(
            store="s3", container="bucket", key=KEY, size_bytes=len(DATA), etag="etag", segment_count=1
        ),
        thumbnail=None,
        media=MediaMetadata(kind="video", container="mp4", duration_seconds=1, size_bytes=len(DATA), streams=[]),
        metadata={},
        repr_digest=format_content_digest(crc32c_digest(google_crc32c.value(DATA))),
    )


@dataclass
class Changing:
    """One content and its object, in a store and a database that a test changes: `before` is called with the number of
    each request to the store."""

    before: Callable[[int], None] = lambda count: None
    data: bytes | None = DATA
    kept_crc32c: int | None = None
    error: StoreError | None = None
    is_row: bool = True
    requests: int = 0
    reads: int = 0
    breaks: int = 0
    names: list[str] = field(default_factory=list)

    name = "s3"

    def _request(self) -> bytes:
        self.requests += 1
        self.before(self.requests)
        if self.error is not None:
            raise self.error
        if self.data is None:
            raise StoreError("STORE_OBJECT_MISSING", key=KEY)
        return self.data

    async def head(self, key: str) -> StoredObject:
        return StoredObject("s3", "bucket", key, len(self._request()), "etag", crc32c=self.kept_crc32c)

    async def read(self, key: str, first: int, last: int | None, *, etag: str) -> AsyncIterator[bytes]:
        self.reads += 1
        data = self._request()[first:]
        yield data[:3]
        if self.reads <= self.breaks:
            raise StoreUnavailable(reason="the connection was reset")
        yield data[3:]

    async def list_keys(self, prefix: str = "") -> AsyncIterator[str]:
        self._request()
        for name in self.names:
            if name.startswith(prefix):
                yield name

    async def get(self, content_id: str, owner: str | None) -> Content:
        if not self.is_row:
            raise RequestError("CONTENT_NOT_FOUND", content_id=content_id)
        return content()

    async def sample(self, count: int) -> Sequence[str]:
        return [NAME]

    async def findings(self, *, reads: bool) -> list[Finding]:
        stores = SimpleNamespace(named=lambda name: SimpleNamespace(within=lambda container: self))
        me = cast(Any, self)
        compared = ComparedContents(me, me, cast(Any, stores), CompareRules(reads))
        return [finding async for finding in compared.sample(1)]


@pytest.mark.parametrize("reads", [True, False])
async def test_an_object_that_is_as_it_should_be(reads: bool) -> None:
    assert await Changing(kept_crc32c=google_crc32c.value(DATA)).findings(reads=reads) == []


async def test_a_read_that_breaks_off_is_continued() -> None:
    changing = Changing(breaks=3)
    assert await changing.findings(reads=True) == []
    assert changing.reads == 4


async def test_what_the_store_says_of_the_bytes_costs_no_read() -> None:
    changing = Changing(kept_crc32c=1)
    (finding,) = await changing.findings(reads=False)
    assert (finding.fault, changing.reads) == (Fault.WRONG_DIGEST, 0)


async def test_bytes_that_differ_are_found_by_reading_only() -> None:
    assert await Changing(data=bytes(len(DATA))).findings(reads=False) == []
    (finding,) = await Changing(data=bytes(len(DATA))).findings(reads=True)
    assert finding.fault is Fault.WRONG_DIGEST


@pytest.mark.parametrize("at", [1, 2])
async def test_a_content_that_is_deleted_meanwhile(at: int) -> None:
    """Its row is deleted before its object is removed."""
    changing = Changing()

    def delete(count: int) -> None:
        if count >= at:
            changing.is_row, changing.data = False, None

    changing.before = delete
    assert await changing.findings(reads=True) == []


async def test_a_fault_that_is_gone_when_it_is_looked_at_again() -> None:
    changing = Changing(data=None)

    def restore(count: int) -> None:
        changing.data = None if count == 1 else DATA

    changing.before = restore
    assert await changing.findings(reads=False) == []


async def test_a_store_that_refuses_the_credentials_ends_the_comparison() -> None:
    with pytest.raises(StoreError, match="refused"):
        await Changing(error=StoreError("STORE_AUTH_FAILED", reason="refused")).findings(reads=True)


async def test_an_object_that_cannot_be_read_does_not_end_it() -> None:
    (finding,) = await Changing(error=StoreError("STORE_REJECTED", reason="no such bucket")).findings(reads=True)
    assert finding.fault is Fault.UNREADABLE


class Uploads:
    """Records of uploads: `states` has the ids that have one -> whether it is cleaned up."""

    def __init__(self, states: dict[str, bool], **facts: Any) -> None:
        self.states = states
        self.facts = {"keeps_stored": False, "joined_to": None, **facts}

    async def known(self, names: Sequence[str]) -> Collection[str]:
        return {name for name in names if name in self.states}

    async def cleaned(self, names: Sequence[str]) -> Collection[str]:
        return {name for name in names if self.states.get(name)}

    async def get(self, name: str) -> Any:
        if name not in self.states:
            raise RequestError("UPLOAD_NOT_FOUND", upload_id=name)
        return SimpleNamespace(**self.facts)


async def orphans(changing: Changing, uploads: Uploads, claimed: Collection[str] = (), *, days: float = 7) -> list[str]:
    async def known(names: Collection[str]) -> Collection[str]:
        return {name for name in names if name in claimed}

    async def no_parts(names: Collection[str]) -> Collection[str]:
        return ()

    audit = SimpleNamespace(claimed=known, claimed_parts=no_parts)
    stores = SimpleNamespace(every=lambda: [changing])
    rules = OrphanSearch(unknown_seconds=days * 86_400, recheck_seconds=0, own=0, cells=frozenset({0, 1}))
    search = ComparedObjects(cast(Any, audit), cast(Any, uploads), cast(Any, stores), rules)
    return [finding.name async for finding in search.every()]


SEGMENT = f"segment:{NAME}/00000001"


@pytest.mark.parametrize(
    ("uploads", "claimed", "days", "expected"),
    [
        (Uploads({}), (), 7, []),
        (Uploads({}), (), 0, [SEGMENT]),
        (Uploads({}), (NAME,), 0, []),
        (Uploads({NAME: False}), (), 0, []),
        (Uploads({NAME: True}), (), 7, [SEGMENT]),
        (Uploads({NAME: True}, keeps_stored=True), (), 7, []),
        (Uploads({NAME: True, "final": False}, joined_to="final"), (), 7, []),
        (Uploads({NAME: True, "final": True}, joined_to="final"), (), 7, [SEGMENT]),
        (Uploads({NAME: True}, joined_to="final"), (), 7, [SEGMENT]),
    ],
    ids=["of another cell", "old", "content", "in flight", "cleaned up", "kept", "joined", "final ended", "final gone"],
)
async def test_what_is_orphaned(uploads: Uploads, claimed: Collection[str], days: float, expected: list[str]) -> None:
    names = [SEGMENT, f"segment:{NAME}/00000002", "raw/imported.mp4", "sluice-check/1/plain"]
    assert await orphans(Changing(names=names), uploads, claimed, days=days) == expected


async def test_what_is_removed_before_it_is_looked_at_again() -> None:
    changing = Changing(names=[KEY])

    def remove(count: int) -> None:
        if count == 2:
            changing.names.clear()

    changing.before = remove
    assert await orphans(changing, Uploads({}), days=0) == []


@pytest.mark.parametrize("name", [f"contents/{NAME}/original", f"multipart:contents/{NAME}/original:session"])
async def test_objects_and_sessions(name: str) -> None:
    assert await orphans(Changing(names=[name]), Uploads({}), days=0) == [name]


@pytest.mark.parametrize("name", ["contents/unknown/original", "segment:sluice-check-1/00000001", "multipart:x:y", "a"])
async def test_a_name_that_is_of_no_upload(name: str) -> None:
    """Those of others, and of the examinations of the store."""
    assert await orphans(Changing(names=[name]), Uploads({}), days=0) == []


@pytest.mark.parametrize(("cell", "is_found"), [(0, True), (1, False), (7, True)])
async def test_what_names_another_cell_is_left_to_that_cell(cell: int, is_found: bool) -> None:
    """Cell 7 is none of this installation."""
    segment = f"segment:{in_cell(UUID(NAME), cell)}/00000001"
    found = await orphans(Changing(names=[segment]), Uploads({}), days=0)
    assert found == ([segment] if is_found else [])


async def test_what_another_cell_has_sent_and_this_one_knows_is_found() -> None:
    """Ids of earlier releases name a cell by chance."""
    name = str(in_cell(UUID(NAME), 1))
    segment = f"segment:{name}/00000001"
    assert await orphans(Changing(names=[segment]), Uploads({name: True})) == [segment]
