"""A directory that something has damaged: errors are the store's, and what is damaged can be removed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pipeline.adapters.object_store.filesystem import FilesystemObjectStore
from pipeline.adapters.object_store.filesystem.layout import FilesystemLayout
from pipeline.core.errors import StoreError
from tests.contract.object_store.garbage import BODIES
from tests.contract.object_store.uploads import Scenario, content, keys

pytestmark = pytest.mark.contract

MANIFESTS = {
    **BODIES,
    "size is text": b'{"content_type": "a", "size_bytes": "5", "etag": "e", "segments": []}',
    "size is negative": b'{"content_type": "a", "size_bytes": -5, "etag": "e", "segments": []}',
    "segments are numbers": b'{"content_type": "a", "size_bytes": 5, "etag": "e", "segments": [1]}',
    "segments are null": b'{"content_type": "a", "size_bytes": 5, "etag": "e", "segments": null}',
    "segments lie elsewhere": b'{"content_type": "a", "size_bytes": 5, "etag": "e", "segments": '
    b'[{"path": "../../etc/passwd", "size_bytes": 5, "etag": "e"}]}',
}


@pytest.mark.parametrize("what", MANIFESTS)
async def test_a_damaged_manifest_is_an_error_and_can_be_deleted_with_its_segments(tmp_path: Path, what: str) -> None:
    async with FilesystemObjectStore(tmp_path, fsync=False) as store:
        upload = Scenario(store)
        await upload.sealed()
        FilesystemLayout(tmp_path.absolute()).manifest_path(upload.target.key).write_bytes(MANIFESTS[what])
        with pytest.raises(StoreError):
            await content(store, upload.target.key)
        await store.delete(upload.target.key)
        assert await keys(store) == []


@pytest.mark.parametrize("name", ["objects", "manifests", "segments", "incoming"])
async def test_a_file_in_place_of_a_directory_is_an_error_of_the_store(tmp_path: Path, name: str) -> None:
    async with FilesystemObjectStore(tmp_path, fsync=False) as store:
        (tmp_path / name).write_bytes(b"not a directory")
        upload = Scenario(store)
        calls = (upload.sealed(), store.delete(upload.target.key), store.abort(upload.target))
        outcomes = [(await asyncio.gather(call, return_exceptions=True))[0] for call in calls]
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert failures
        assert all(isinstance(failure, StoreError) for failure in failures)
