"""A correct client: it knows only the API, keeps its state, and retries indefinitely.

Guarantee: it registers a file once (one Idempotency-Key), sends a segment again only if the segment is missing or its
response was lost, waits as long as Retry-After says, and uses the other gateway when one does not respond. It stops
when its upload has ended, when its scenario says so (cancelled, abandoned), or when it receives an error that cannot be
retried.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import uuid
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.harness.cell import ENDED
from tests.programs.torture.files import File
from tests.programs.torture.schedule import PlannedUpload, Scenario

_TIMEOUT = aiohttp.ClientTimeout(total=90, sock_connect=5, sock_read=30)
_SEGMENTS_AT_ONCE = 3
_POLL_SECONDS = 0.5
_BASE_SECONDS, _CAP_SECONDS = 0.3, 4.0
# Errors of a segment request that report a changed upload: the client reads the upload's status again.
_STATUS_CHANGED = frozenset(
    {"UPLOAD_WAITING", "UPLOAD_ENDED", "UPLOAD_EXPIRED", "UPLOAD_CANCELLED", "UPLOAD_COMPLETE", "TEMP_FILE_MISSING"}
)
_RETRYABLE_STATUS = frozenset({408, 429, 500, 502, 503, 504, 507})
_RETRYABLE_CODES = frozenset({"SEGMENT_CUT_OFF", "SEGMENT_DIGEST_WRONG"})


UNKNOWN = "unknown after data loss"
"""The status of an upload that Redis has lost and that has not become a content."""


class RefusedError(Exception):
    """A response that the client cannot retry."""


@dataclass
class Traffic:
    """Counters over all clients of a run."""

    requests: int = 0
    retries: int = 0
    sent_bytes: int = 0


@dataclass
class ClientUpload:
    """One upload as its client knows it."""

    plan: PlannedUpload
    file: File
    upload_id: str | None = field(default=None, init=False)
    view: Mapping[str, Any] | None = field(default=None, init=False)
    """The latest that the API has returned."""
    error: str | None = field(default=None, init=False)
    """Why the client gave up, if it did."""
    key: str = field(default_factory=lambda: str(uuid.uuid4()), init=False)
    is_done: bool = field(default=False, init=False)
    """The client sends no more requests."""

    @property
    def status(self) -> str:
        return str(self.view["status"]) if self.view else "never registered"

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED | {UNKNOWN} or self.error is not None


class Client:
    """Uploads files through any of `gateways`."""

    def __init__(self, http: aiohttp.ClientSession, gateways: Sequence[str], traffic: Traffic) -> None:
        self._http = http
        self._gateways = list(gateways)
        self._traffic = traffic
        self._dice = random.Random()

    async def send(self, upload: ClientUpload) -> None:
        """Upload a file until the upload has ended, or its client cancels or abandons it."""
        try:
            await self._create(upload)
            await self._send_segments(upload)
        except RefusedError as refused:
            upload.error = str(refused)
        upload.is_done = True

    async def refresh(self, upload: ClientUpload) -> None:
        """Read the status. Redis may have lost an upload that has ended: the contents then tell whether it is ready."""
        path = f"/v1/uploads/{upload.upload_id}"
        found = await self.call("GET", path, expected_errors=frozenset({"UPLOAD_NOT_FOUND"}))
        if found:
            upload.view = found
            return
        assert upload.view is not None
        path = f"/v1/contents/{upload.upload_id}"
        content = await self.call("GET", path, expected_errors=frozenset({"CONTENT_NOT_FOUND"}))
        upload.view = {**upload.view, "status": "ready" if content else UNKNOWN}

    async def _create(self, upload: ClientUpload) -> None:
        file = upload.file
        body = {"filename": file.name, "size": len(file.data), "content_type": file.content_type}
        upload.view = await self.call("POST", "/v1/uploads", json=body, headers={"Idempotency-Key": upload.key})
        upload.upload_id = upload.view["id"]

    async def _send_segments(self, upload: ClientUpload) -> None:
        assert upload.view is not None
        count = int(upload.view["segment_count"])
        stops_early = upload.plan.scenario in (Scenario.CANCELLED, Scenario.ABANDONED)
        enough = round(upload.plan.part * count) if stops_early else None
        while upload.status not in ENDED | {UNKNOWN}:
            missing = [n for first, last in upload.view["missing_segments"] for n in range(first, last + 1)]
            if enough is not None and count - len(missing) >= enough:
                if upload.plan.scenario is Scenario.CANCELLED:
                    await self.call("DELETE", f"/v1/uploads/{upload.upload_id}", expected_errors=_STATUS_CHANGED)
                return
            if upload.status == "waiting" or not missing:
                await asyncio.sleep(_POLL_SECONDS * self._dice.uniform(0.5, 1.5))
            else:
                await self._put_all(upload, missing if enough is None else missing[: enough - (count - len(missing))])
            await self.refresh(upload)

    async def _put_all(self, upload: ClientUpload, numbers: Sequence[int]) -> None:
        assert upload.view is not None
        size = int(upload.view["segment_size"])
        slots = asyncio.Semaphore(_SEGMENTS_AT_ONCE)

        async def put(number: int) -> None:
            data = upload.file.data[(number - 1) * size : number * size]
            digest = b64encode(hashlib.sha256(data).digest()).decode()
            headers = {"Content-Digest": f"sha-256=:{digest}:"}
            path = f"/v1/uploads/{upload.upload_id}/segments/{number}"
            async with slots:
                await self.call("PUT", path, data=data, headers=headers, expected_errors=_STATUS_CHANGED)
                self._traffic.sent_bytes += len(data)
                await asyncio.sleep(upload.plan.pause_seconds)

        await asyncio.gather(*(put(number) for number in numbers))

    async def download(self, path: str) -> bytes:
        """The whole body; an interrupted download starts again. Raises RefusedError."""
        return await self._repeat("GET", path, frozenset())

    async def call(
        self, method: str, path: str, *, expected_errors: frozenset[str] = frozenset(), **options: Any
    ) -> dict[str, Any]:
        """The response's data, or {} for an error code in `expected_errors`. Retries indefinitely. Raises
        RefusedError."""
        body = await self._repeat(method, path, expected_errors, **options)
        data: dict[str, Any] = json.loads(body)["data"] if body else {}
        return data

    async def _repeat(self, method: str, path: str, expected_errors: frozenset[str], **options: Any) -> bytes:
        """The body of the first response that is not to be retried; empty for an error in `expected_errors`."""
        attempt = 0
        gateway = self._dice.randrange(len(self._gateways))
        while True:
            self._traffic.requests += 1
            self._traffic.retries += attempt > 0
            retry_after_seconds = 0.0
            try:
                url = self._gateways[gateway % len(self._gateways)] + path
                async with self._http.request(method, url, timeout=_TIMEOUT, **options) as response:
                    body = await response.read()
                    if response.status < 400:
                        return body
                    error = json.loads(body)["error"]
                    retry_after_seconds = float(response.headers.get("Retry-After", 0))
                    if error["code"] in expected_errors:
                        await asyncio.sleep(retry_after_seconds)
                        return b""
                    if not (response.status in _RETRYABLE_STATUS or error["code"] in _RETRYABLE_CODES):
                        raise RefusedError(f"{method} {path}: {response.status} {error}")
            except (TimeoutError, aiohttp.ClientError, json.JSONDecodeError):
                gateway += 1
            attempt += 1
            step = min(_CAP_SECONDS, _BASE_SECONDS * 2.0 ** min(attempt, 10))
            await asyncio.sleep(max(retry_after_seconds, step * self._dice.uniform(0.5, 1)))
