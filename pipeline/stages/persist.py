"""Persist: one transaction turns the results of the other stages into a content. The upload is `ready` afterwards.

The content gets the media type of the format that was recognised, unless the client declared a type of that format. The
object itself was stored before the file was recognised, with the declared type. Where the store can change that, it is
changed here, before the row is written; a store that refuses does not hold up the content.

The content carries the CRC-32C of its bytes as they arrived. Where they did not pass the gateway, it has the one that
the store keeps of the object, if it does; a store that does not respond does not hold up the content either.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

from pipeline.core.errors import StoreError
from pipeline.core.media_types import recognised_type
from pipeline.core.model import ContentRecord, Upload
from pipeline.core.retry import RetryPolicy
from pipeline.core.stages import Stage
from pipeline.core.stored_objects import KEEPS_CRC32C, ObjectVersion, StoredObject
from pipeline.engine.contract import Done, Outcome, StageRun
from pipeline.engine.retry import retry_store
from pipeline.logs import Log, logger
from pipeline.ports import ContentRepository, ContentTypes, SegmentReader, StageResults, Stores
from pipeline.stages.checksums import with_crc32c
from pipeline.stages.stored_object import stored_from_data
from schemas.media import MediaMetadata

_RETRIES = RetryPolicy(max_attempts=4, base_seconds=0.3, cap_seconds=2)
# For all attempts: the type of the object is worth this delay, and no more. So is its CRC-32C.
_STORE_SECONDS = 15.0


class Persist:
    """The handler of stage `persist`."""

    def __init__(
        self, results: StageResults, contents: ContentRepository, stores: Stores, segments: SegmentReader
    ) -> None:
        self._results = results
        self._contents = contents
        self._stores = stores
        self._segments = segments

    async def __call__(self, run: StageRun) -> Outcome:
        upload = run.upload
        results = await self._results.results(upload.upload_id)
        thumbnail = results.get(Stage.THUMBNAIL)
        media = MediaMetadata.model_validate(results[Stage.PROBE])
        stored = stored_from_data(results[Stage.SEAL]) if upload.source is None else _imported(upload, upload.source)
        if upload.source is None:
            stored = await with_crc32c(self._segments, upload, stored)
        if stored.crc32c is None and stored.store in KEEPS_CRC32C:
            stored = replace(stored, crc32c=await self._kept_crc32c(run, stored))
        content_type = recognised_type(upload.content_type, media.container, media.kind)
        if content_type != upload.content_type:
            await self._retype(run, stored, content_type)
        await self._contents.save(
            ContentRecord(
                content_id=upload.upload_id,
                volume=upload.volume,
                filename=upload.filename,
                content_type=content_type,
                stored=stored,
                thumbnail=stored_from_data(thumbnail) if thumbnail else None,
                media=results[Stage.PROBE],
                metadata=upload.metadata,
                owner=upload.owner,
                traceparent=upload.traceparent,
            )
        )
        return Done()

    async def _retype(self, run: StageRun, stored: StoredObject, content_type: str) -> None:
        """Give the object its type in the store, if it is not an imported object and the store can change it."""
        if run.upload.source is not None:
            return
        try:
            store = self._stores.named(stored.store)
            if isinstance(store, ContentTypes):
                async with asyncio.timeout(_STORE_SECONDS):
                    await retry_store(partial(store.set_content_type, stored.key, content_type), _RETRIES, run.stop)
        except (StoreError, TimeoutError) as error:
            logger(upload_id=run.upload.upload_id).warning(
                Log.CONTENT_TYPE_KEPT, key=stored.key, content_type=content_type, reason=str(error) or "no response"
            )

    async def _kept_crc32c(self, run: StageRun, stored: StoredObject) -> int | None:
        """The CRC-32C that the store keeps of this version of an object."""
        try:
            source = self._stores.named(stored.store).within(stored.container)
            async with asyncio.timeout(_STORE_SECONDS):
                found = await retry_store(partial(source.head, stored.key), _RETRIES, run.stop)
        except (StoreError, TimeoutError) as error:
            logger(upload_id=run.upload.upload_id).warning(
                Log.CRC32C_UNKNOWN, key=stored.key, reason=str(error) or "no response"
            )
            return None
        return found.crc32c if (found.etag, found.size_bytes) == (stored.etag, stored.size_bytes) else None


def _imported(upload: Upload, version: ObjectVersion) -> StoredObject:
    """The object of an import, which is in the store from the beginning: probe has read this version of it."""
    return StoredObject(upload.store, version.container, version.key, upload.size_bytes, version.etag)
