"""The botocore client of a process. Every call to it is observed, timed, and its errors are translated."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from copy import copy
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from pipeline.adapters.object_store.http.bodies import text, unusable
from pipeline.adapters.object_store.http.observe import RequestObserver
from pipeline.adapters.object_store.http.paging import every_item
from pipeline.adapters.object_store.s3.bounded import BoundedSession
from pipeline.adapters.object_store.s3.deadline import within
from pipeline.adapters.object_store.s3.errors import store_errors
from pipeline.adapters.object_store.s3.options import S3Credentials, S3Options
from pipeline.core.errors import StoreError

# Signature Version 4 allows no longer time.
MAX_PRESIGN_SECONDS = 7 * 24 * 3600

_METHODS = {
    "abort_multipart_upload": "DELETE",
    "complete_multipart_upload": "POST",
    "copy_object": "PUT",
    "create_bucket": "PUT",
    "create_multipart_upload": "POST",
    "delete_object": "DELETE",
    "get_object": "GET",
    "head_bucket": "HEAD",
    "head_object": "HEAD",
    "list_multipart_uploads": "GET",
    "list_objects": "GET",
    "list_objects_v2": "GET",
    "list_parts": "GET",
    "put_object": "PUT",
    "upload_part_copy": "PUT",
}

# Listing -> the parameters of its next page, by the fields that hold them.
_CONTINUATIONS = {
    "list_multipart_uploads": {"KeyMarker": "NextKeyMarker", "UploadIdMarker": "NextUploadIdMarker"},
    "list_objects": {"Marker": "NextMarker"},
    "list_objects_v2": {"ContinuationToken": "NextContinuationToken"},
    "list_parts": {"PartNumberMarker": "NextPartNumberMarker"},
}
Cursor = tuple[tuple[str, str], ...]


class S3Client:
    """The control path: every request except segment bodies. Opened and closed with its store."""

    def __init__(
        self, bucket: str, credentials: S3Credentials | None, options: S3Options, observer: RequestObserver
    ) -> None:
        self._bucket = bucket
        self._credentials = credentials
        self._options = options
        self._observer = observer
        self._exit_stack = AsyncExitStack()
        self._client: Any = None
        self._signer: Any = None

    def on(self, bucket: str) -> S3Client:
        """The same open client, on another bucket; closed with this one."""
        other = copy(self)
        other._bucket = bucket
        return other

    async def open(self) -> None:
        """Raises StoreError STORE_REJECTED for an endpoint that is not a URL."""
        options, credentials = self._options, self._credentials
        config = AioConfig(
            http_session_cls=BoundedSession,
            signature_version="s3v4",
            region_name=options.region,
            connect_timeout=options.connect_seconds,
            read_timeout=options.complete_seconds,  # of the longest call; `call` times each one
            max_pool_connections=options.pool_connections,
            retries={"total_max_attempts": 1, "mode": "standard"},  # retries are the stage's decision
            request_checksum_calculation=options.checksums,
            response_checksum_validation="when_required",
            s3={"addressing_style": self._addressing()},
        )
        keys = (
            {
                "aws_access_key_id": credentials.access_key,
                "aws_secret_access_key": credentials.secret_key,
                "aws_session_token": credentials.session_token or None,
            }
            if credentials is not None
            else {}
        )

        verify = str(options.ca_file) if options.ca_file else None

        async def connect(endpoint_url: str) -> Any:
            made = get_session().create_client(
                "s3", endpoint_url=endpoint_url or None, config=config, verify=verify, **keys
            )
            return await self._exit_stack.enter_async_context(made)

        try:
            self._client = self._signer = await connect(options.endpoint_url)
            if options.public_endpoint_url:
                self._signer = await connect(options.public_endpoint_url)
        except ValueError as error:
            raise StoreError("STORE_REJECTED", reason=f"S3: {error}") from error

    async def close(self) -> None:
        """Idempotent."""
        self._client = self._signer = None
        await self._exit_stack.aclose()

    async def call(self, operation: str, *, key: str = "", seconds: float | None = None, **parameters: Any) -> Any:
        """One call on the bucket, with `Key` when `key` is given. Returns the parsed response. Raises StoreError,
        StoreUnavailable."""
        if key:
            parameters["Key"] = key
        what = f"{operation} {self._bucket}/{key}".rstrip("/")
        status: int | None = None
        started = time.perf_counter()
        limit = seconds or (self._options.connect_seconds + self._options.response_seconds)
        try:
            with store_errors(what, key):
                called = getattr(self._open_client(), operation)(Bucket=self._bucket, **parameters)
                response = await within(limit, called)
            status = int(response["ResponseMetadata"]["HTTPStatusCode"])
            return response
        except StoreError as error:
            status = _status_of(error)
            raise
        finally:
            self._observer(_METHODS[operation], status, time.perf_counter() - started)

    async def presign(self, operation: str, **parameters: Any) -> str:
        """A URL for our own use, valid for `presign_seconds`; nothing is sent. The signature is in the query and does
        not cover the body, so that the body can be streamed, over plain HTTP too."""
        return await self._presigned(self._open_client(), operation, self._options.presign_seconds, parameters)

    async def presign_for_client(self, operation: str, *, seconds: int, **parameters: Any) -> str:
        """As `presign`, for the endpoint that clients reach; valid for at most seven days."""
        self._open_client()
        return await self._presigned(self._signer, operation, min(seconds, MAX_PRESIGN_SECONDS), parameters)

    async def _presigned(self, client: Any, operation: str, seconds: int, parameters: dict[str, Any]) -> str:
        with store_errors(f"presign {operation}", str(parameters.get("Key", ""))):
            url: str = await client.generate_presigned_url(
                operation, Params={"Bucket": self._bucket, **parameters}, ExpiresIn=seconds
            )
            return url

    async def remove(self, operation: str, *, key: str, **parameters: Any) -> None:
        """One call that removes something. Raises as `call`, and StoreUnavailable when the status is not 204 ("Response
        Syntax" of the API reference): another success, such as a page of a proxy, removes nothing."""
        response = await self.call(operation, key=key, **parameters)
        status = response["ResponseMetadata"]["HTTPStatusCode"]
        if status != 204:
            raise unusable(f"{operation} {self._bucket}/{key}", f"the status is {status}, not 204")

    def items(self, operation: str, items: str, **parameters: Any) -> AsyncIterator[Any]:
        """Every item of a listing; `items` is the field that holds them. Raises as `call`, and StoreUnavailable when a
        page is no listing: botocore makes an empty one of an empty body and of XML of another kind."""
        what = f"{operation} {self._bucket}"

        async def fetch(continuation: Cursor | None) -> tuple[Sequence[Any], Cursor | None]:
            following: dict[str, Any] = dict(continuation or ())
            page = await self.call(operation, **parameters, **following)
            if "IsTruncated" not in page:
                raise unusable(what, "it is not a listing")
            return page.get(items, ()), _continuation(operation, page, what) if page["IsTruncated"] else None

        return every_item(fetch, what)

    def _open_client(self) -> Any:
        if self._client is None:
            raise RuntimeError("an S3 store can be used only inside `async with`")
        return self._client

    def _addressing(self) -> str:
        if self._options.addressing != "auto":
            return self._options.addressing
        return "path" if self._options.endpoint_url else "auto"


def _continuation(operation: str, page: Any, what: str) -> Cursor:
    """What requests the next page. Raises StoreUnavailable when a truncated page does not say it."""
    if operation == "list_objects" and not page.get("NextMarker"):  # sent only with a delimiter
        keys = [item["Key"] for item in page.get("Contents", ())]
        return (("Marker", text(keys[-1] if keys else None, what, "the last key")),)
    return tuple(
        (parameter, text(str(page[field]) if field in page else None, what, field))
        for parameter, field in _CONTINUATIONS[operation].items()
        if parameter != "UploadIdMarker" or page.get(field)  # some stores mark multipart uploads by their key only
    )


def _status_of(error: StoreError) -> int | None:
    response = getattr(error.__cause__, "response", None)
    return int(response["ResponseMetadata"].get("HTTPStatusCode", 0)) or None if response else None
