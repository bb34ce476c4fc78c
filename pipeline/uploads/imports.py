"""Imports: registers an object that is already in the store as an upload.

Guarantee: one version of an object (store, container, key, etag, size) becomes at most one content, however often its
import is requested. An import that ended without a content may be requested again. The object is only read. Objects
that Sluice has written are never imported.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace

from uuid6 import uuid7

from pipeline.core.cells import in_cell
from pipeline.core.errors import RequestError, StoreError
from pipeline.core.lifecycle import ENDED, Status
from pipeline.core.model import NewUpload
from pipeline.core.stored_objects import OWN_PREFIX, ObjectVersion, StoredObject
from pipeline.core.transports import Transport
from pipeline.ports import ContentRepository, Stores
from pipeline.tracing import current_traceparent
from pipeline.uploads.create import UploadCreation
from pipeline.uploads.declared_type import declared_type
from schemas.imports import ImportObject
from schemas.metadata import FILENAME_EXCLUDED

_UNFIT = re.compile(f"[{FILENAME_EXCLUDED}]")
_FILENAME_CHARACTERS = 255


@dataclass(frozen=True, slots=True)
class ImportRules:
    """What may be imported. Empty `buckets`: only from the store's own container. `owner`: of imports that name no
    other."""

    store: str
    buckets: tuple[str, ...]
    owner: str
    volume: str
    cell: int
    segment_bytes: int


@dataclass(frozen=True, slots=True)
class Imported:
    """An object and the upload that imports it; `created`: this call created the upload."""

    upload_id: str
    status: Status
    created: bool
    found: StoredObject


class Importer:
    """Registers imports."""

    def __init__(
        self, creation: UploadCreation, stores: Stores, contents: ContentRepository, rules: ImportRules
    ) -> None:
        self._creation = creation
        self._stores = stores
        self._contents = contents
        self._rules = rules

    @property
    def default_bucket(self) -> str:
        return self._stores.named(self._rules.store).container

    async def take(self, request: ImportObject) -> Imported:
        """Import an object, or return its existing import.

        Raises RequestError IMPORT_NOT_ALLOWED, IMPORT_OWN_OBJECT, IMPORT_OBJECT_MISSING, IMPORT_EMPTY,
        CONTENT_TYPE_NOT_MEDIA; StoreError; DependencyUnavailable.
        """
        rules = self._rules
        found = await self._head(request.bucket or self.default_bucket, request.key)
        version = ObjectVersion(found.container, found.key, found.etag)
        known = await self._contents.of_object(rules.store, version)
        if known is not None:
            return Imported(known.id, Status.READY, False, found)
        content_type = declared_type(found)
        name = _identity(found)
        new = NewUpload(
            upload_id=str(in_cell(uuid7(), rules.cell)),
            filename=_filename(found.key),
            size_bytes=found.size_bytes,
            segment_bytes=rules.segment_bytes,
            content_type=content_type,
            volume=rules.volume,
            store=rules.store,
            digest=None,
            metadata=request.metadata,
            # The space makes the key differ from every Idempotency-Key that a client can send.
            idempotency_key=f"import {name}",
            fingerprint=name,
            transport=Transport.IMPORT,
            source=version,
            owner=request.owner or rules.owner,
            traceparent=current_traceparent(),
        )
        detail, created = await self._creation.register(new)
        if not created and detail.upload.status in ENDED:
            # An import that was in flight at the look into the database may be ready now.
            known = await self._contents.of_object(rules.store, version)
            if known is None:
                detail, created = await self._creation.register(replace(new, again=True))
                # So may one that another request has begun and that has ended since that look.
                known = await self._contents.of_object(rules.store, version) if created else None
                if known is not None:
                    await self._creation.cancel(detail.upload.upload_id)
            if known is not None:
                return Imported(known.id, Status.READY, False, found)
        return Imported(detail.upload.upload_id, detail.upload.status, created, found)

    async def _head(self, bucket: str, key: str) -> StoredObject:
        store = self._stores.named(self._rules.store)
        if bucket not in (self._rules.buckets or (store.container,)):
            raise RequestError("IMPORT_NOT_ALLOWED", bucket=bucket)
        if bucket == store.container and key.startswith(OWN_PREFIX):
            raise RequestError("IMPORT_OWN_OBJECT", key=key)
        try:
            found = await store.within(bucket).head(key)
        except StoreError as error:
            if error.code != "STORE_OBJECT_MISSING":
                raise
            raise RequestError("IMPORT_OBJECT_MISSING", bucket=bucket, key=key) from error
        if not found.size_bytes:
            raise RequestError("IMPORT_EMPTY", key=key)
        return found


def _identity(found: StoredObject) -> str:
    """A hash of the object version: equal for the same version, different for any other."""
    facts = (found.store, found.container, found.key, found.etag, str(found.size_bytes))
    return hashlib.sha256("\0".join(facts).encode()).hexdigest()


def _filename(key: str) -> str:
    """The last part of the key, as a file name: what no file name contains is replaced."""
    return _UNFIT.sub("_", key.rstrip("/").rpartition("/")[2])[-_FILENAME_CHARACTERS:] or "object"
