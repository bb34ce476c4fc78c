"""The bucket that a store's objects lie in: made where it is missing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pipeline.adapters.object_store.s3.client import S3Client
from pipeline.adapters.object_store.s3.errors import MISSING_BUCKET
from pipeline.core.errors import StoreError

T = TypeVar("T")


class BucketMaker:
    """Asks once per process, and again when a request has found the bucket missing. Harmless when several make the
    bucket at once."""

    def __init__(self, client: S3Client, region: str) -> None:
        self._client = client
        self._region = region
        self._there = False

    async def ensure(self) -> None:
        """The bucket exists from here on. Raises StoreError, StoreUnavailable."""
        if self._there:
            return
        try:
            await self._client.call("head_bucket")
        except StoreError as error:
            if error.code != "STORE_OBJECT_MISSING":
                raise
            await self._make()
        self._there = True

    async def ensured(self, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` returns, with the bucket there; done a second time where somebody has deleted it since. Raises
        what `work` raises, StoreError, StoreUnavailable."""
        await self.ensure()
        try:
            return await work()
        except StoreError as error:
            if error.detail.get("store_code") != MISSING_BUCKET:
                raise
        self._there = False
        await self.ensure()
        return await work()

    async def _make(self) -> None:
        # us-east-1 is the one region that must not be named ("CreateBucket" of the API reference).
        parameters: dict[str, Any] = {}
        if self._region != "us-east-1":
            parameters["CreateBucketConfiguration"] = {"LocationConstraint": self._region}
        try:
            await self._client.call("create_bucket", **parameters)
        except StoreError as error:
            if error.detail.get("store_code") != "BucketAlreadyOwnedByYou":
                raise
