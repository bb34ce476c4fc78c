"""An object is imported once, also when two requests for it overlap."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pipeline.core.lifecycle import Status
from pipeline.core.model import NewUpload
from pipeline.core.stored_objects import ObjectVersion, StoredObject
from pipeline.uploads.imports import Imported, Importer, ImportRules
from schemas.imports import ImportObject

pytestmark = pytest.mark.unit

FOUND = StoredObject("s", "raw", "a.mp4", 10, "etag", content_type="video/mp4")


class Site:
    """A store with one object, and an upload that has imported it. `contents`: what the database responds, in order."""

    def __init__(self, *contents: str | None) -> None:
        self.container = "raw"
        self.contents = list(contents)
        self.registered: list[NewUpload] = []
        self.cancelled: list[str] = []

    def named(self, name: str) -> Site:
        return self

    def within(self, container: str) -> Site:
        return self

    async def head(self, key: str) -> StoredObject:
        return FOUND

    async def of_object(self, store: str, version: ObjectVersion) -> Any:
        found = self.contents.pop(0)
        return found and SimpleNamespace(id=found)

    async def register(self, new: NewUpload) -> tuple[Any, bool]:
        self.registered.append(new)
        created = new.again
        upload = SimpleNamespace(
            upload_id=new.upload_id if created else "first", status=Status.PROCESSING if created else Status.READY
        )
        return SimpleNamespace(upload=upload), created

    async def cancel(self, upload_id: str) -> None:
        self.cancelled.append(upload_id)


async def take(site: Site) -> Imported:
    parts = cast("Any", site)
    importer = Importer(parts, parts, parts, ImportRules("s", (), "o", "v", 0, 10))
    return await importer.take(ImportObject(key="a.mp4"))


async def test_an_import_that_becomes_ready_meanwhile_is_returned() -> None:
    site = Site(None, "first")
    imported = await take(site)
    assert (imported.upload_id, imported.status, imported.created) == ("first", Status.READY, False)
    assert len(site.registered) == 1


async def test_an_object_whose_content_was_deleted_is_imported_again() -> None:
    site = Site(None, None, None)
    imported = await take(site)
    first, second = site.registered
    assert not first.again
    assert (imported.upload_id, imported.created) == (second.upload_id, True)
    assert not site.cancelled


async def test_an_import_is_cancelled_if_another_one_has_made_the_content_meanwhile() -> None:
    site = Site(None, None, "other")
    imported = await take(site)
    assert (imported.upload_id, imported.status, imported.created) == ("other", Status.READY, False)
    assert site.cancelled == [site.registered[1].upload_id]
