"""The bucket of a store: created where it is missing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pipeline.adapters.object_store.s3.client import S3Client
from pipeline.adapters.object_store.s3.errors import MISSING_BUCKET
from pipeline.core.errors import StoreError, StoreUnsupported

T = TypeVar("T")


class BucketMaker:
    """Checks the bucket once per process, and again after a request has found it missing. Concurrent creation is
    harmless."""

    def __init__(self, client: S3Client, region: str) -> None:
        self._client = client
        self._region = region
        self._exists = False

    async def ensure(self) -> None:
        """The bucket exists from here on. Raises StoreError, StoreUnavailable."""
        if not self._exists:
            await self.look()

    async def look(self) -> None:
        """As `ensure`, with a request in any case."""
        try:
            await self._client.call("head_bucket")
        except StoreUnsupported:
            pass  # a request that needs the bucket finds out whether it exists
        except StoreError as error:
            if error.code != "STORE_OBJECT_MISSING":
                raise
            await self._create()
        self._exists = True

    async def ensured(self, work: Callable[[], Awaitable[T]]) -> T:
        """The result of `work`, with the bucket in place; `work` runs a second time when the bucket has been deleted
        meanwhile. Raises what `work` raises, StoreError, StoreUnavailable."""
        await self.ensure()
        try:
            return await work()
        except StoreError as error:
            if error.detail.get("store_code") != MISSING_BUCKET:
                raise
        self._exists = False
        await self.ensure()
        return await work()

    async def _create(self) -> None:
        # us-east-1 is the only region that must not be named ("CreateBucket" of the API reference).
        parameters: dict[str, Any] = {}
        if self._region != "us-east-1":
            parameters["CreateBucketConfiguration"] = {"LocationConstraint": self._region}
        try:
            await self._client.call("create_bucket", **parameters)
        except StoreError as error:
            if error.detail.get("store_code") != "BucketAlreadyOwnedByYou":
                raise
