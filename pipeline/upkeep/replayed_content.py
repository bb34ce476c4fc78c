"""Runs a stage again for one stored content, and replaces what it has.

Guarantee: the file is read from the store by ranges, nowhere else, and what was read is of one version of the object. A
content whose file cannot be read keeps its columns and its thumbnail. A thumbnail is replaced under a new name, since
cached copies have the old one: its row names either the old or the new one, both exist while it does, and the other one
is removed from store and cache afterwards. Thumbnails are announced in PostgreSQL before they are stored, so the runner
that follows a dead one removes them. Every step may be repeated.
"""

from __future__ import annotations

from functools import partial

from uuid6 import uuid7

from pipeline.core.errors import MediaError, RequestError, SluiceError, StageLost, StoreError, StoreUnavailable
from pipeline.core.retry import RetryPolicy
from pipeline.core.stored_objects import StoredObject, later_thumbnail_key, object_key
from pipeline.engine.drain import drained
from pipeline.engine.retry import retry_store
from pipeline.logs import Log, logger
from pipeline.ports import CachePurge, ContentRepository, ContentTypes, Store, Stores
from pipeline.ports.replays import ColumnValue, Remade, Replayable, ReplayClaim, ReplayRepository
from pipeline.uploads.bytes import ObjectBytes, collected
from schemas.content import Content, ContentObject
from schemas.replays import ReplayOutcome

_RETRIES = RetryPolicy(max_attempts=4, base_seconds=0.3, cap_seconds=5)
_READINGS = 2


class FaultyContent(Exception):
    """The stage cannot be run for this content. `error` says why, and is recorded with it."""

    def __init__(self, error: SluiceError) -> None:
        super().__init__(error.message)
        self.error = error


class ReplayedContents:
    """Runs one stage. Errors of both methods: DependencyUnavailable and StoreError of a whole store, after which they
    may be repeated; StageLost."""

    def __init__(
        self,
        replays: ReplayRepository,
        contents: ContentRepository,
        stores: Stores,
        stage: Replayable,
        purge: CachePurge | None,
    ) -> None:
        self._replays = replays
        self._contents = contents
        self._stores = stores
        self._stage = stage
        self._purge = purge

    async def remake(self, claim: ReplayClaim) -> ReplayOutcome:
        """Run the stage and write what it returns. Raises FaultyContent."""
        content = await self._current(claim.content_id)
        if content is None:
            return await self._replays.apply(claim, {})
        try:
            store = self._stores.named(content.object.store)
            return await self._remake(claim, content, store)
        except MediaError as error:
            raise FaultyContent(error) from error
        except StoreError as error:
            if await self._current(claim.content_id) is None:
                return await self._replays.apply(claim, {})
            if isinstance(error, StoreUnavailable) or error.code == "STORE_AUTH_FAILED":
                await store.check()  # raises where it is not about this object alone
            raise FaultyContent(error) from error

    async def clear(self, claim: ReplayClaim) -> None:
        """Remove the thumbnails that the content does not have any more, or did not get. The cache is purged twice: it
        may fetch an object again while that is removed."""
        name, keys = await self._replays.obsolete(claim)
        for key in keys:
            await self._purge_cache(key)
            await retry_store(partial(self._stores.named(name).delete, key), _RETRIES)
            await self._purge_cache(key)

    async def _remake(self, claim: ReplayClaim, content: Content, store: Store) -> ReplayOutcome:
        remade = await self._read(content, store)
        columns = dict(remade.columns)
        content_type = columns.get("content_type")
        if isinstance(content_type, str) and content_type != content.content_type:
            await _retype(content, store, content_type)
        old = content.thumbnail
        if remade.frame is None or remade.frame.jpeg is None or await self._is_same(old, remade.frame.jpeg):
            return await self._replays.apply(claim, columns)
        key = later_thumbnail_key(content.id, uuid7())
        await self._replays.announce(claim, store.name, [key, *([old.key] if old else [])])
        jpeg = remade.frame.jpeg
        stored = await drained(retry_store(lambda: store.put_object(key, jpeg, "image/jpeg"), _RETRIES))
        thumbnail: ColumnValue = _row_of(stored).model_dump_json()
        try:
            return await self._replays.apply(claim, columns | {"thumbnail": thumbnail}, old.key if old else None)
        except StageLost:  # the runner that has the content now may have cleared up before this thumbnail was stored
            await retry_store(partial(store.delete, key), _RETRIES)
            raise

    async def _read(self, content: Content, store: Store) -> Remade:
        """What the stage returns. A file is rejected as not being media if two readings reject it: what the store sends
        is not compared with a digest."""
        readings = 0
        while True:
            source = _Retrying(_bytes_of(content, store))
            try:
                remade = await self._stage(content, source)
            except MediaError as error:
                await source.require_unchanged()
                readings += 1
                if error.code != "NOT_MEDIA" or readings == _READINGS:
                    raise
            else:
                await source.require_unchanged()
                return remade

    async def _is_same(self, old: ContentObject | None, jpeg: bytes) -> bool:
        """Whether the content has this thumbnail already."""
        if old is None or old.size_bytes != len(jpeg):
            return False
        try:
            source = self._stores.named(old.store).within(old.container)
            if (await retry_store(lambda: source.head(old.key), _RETRIES)).size_bytes != len(jpeg):
                return False
            return await retry_store(lambda: collected(source.read(old.key), len(jpeg)), _RETRIES) == jpeg
        except StoreError as error:
            if error.code != "STORE_OBJECT_MISSING":
                raise
            return False

    async def _purge_cache(self, key: str) -> None:
        if self._purge is not None:
            await self._purge.purge(key)

    async def _current(self, content_id: str) -> Content | None:
        try:
            return await self._contents.get(content_id, None)
        except RequestError:
            return None


class _Retrying:
    """An object whose ranges are requested again where the store did not send them. Implements ByteSource."""

    def __init__(self, source: ObjectBytes) -> None:
        self._source = source

    @property
    def size_bytes(self) -> int:
        return self._source.size_bytes

    async def require_unchanged(self) -> None:
        await retry_store(self._source.require_unchanged, _RETRIES)

    async def read(self, offset: int, length: int) -> bytes:
        return await retry_store(lambda: self._source.read(offset, length), _RETRIES)


def _bytes_of(content: Content, store: Store) -> ObjectBytes:
    stored = content.object
    segment_bytes = -(-stored.size_bytes // stored.segment_count) if stored.segment_count > 1 else None
    return ObjectBytes(
        store.within(stored.container), stored.key, stored.size_bytes, etag=stored.etag, segment_bytes=segment_bytes
    )


async def _retype(content: Content, store: Store, content_type: str) -> None:
    """Give the object its type in the store, unless it is an imported one. A store that refuses holds nothing up."""
    key = content.object.key
    if key != object_key(content.id) or not isinstance(store, ContentTypes):
        return
    try:
        await retry_store(partial(store.set_content_type, key, content_type), _RETRIES)
    except StoreError as error:
        logger(content_id=content.id).warning(
            Log.CONTENT_TYPE_KEPT, key=key, content_type=content_type, reason=error.message
        )


def _row_of(stored: StoredObject) -> ContentObject:
    return ContentObject(
        store=stored.store,
        container=stored.container,
        key=stored.key,
        size_bytes=stored.size_bytes,
        etag=stored.etag,
        segment_count=1,
    )
