"""A correct client: it knows only the API, keeps its state, and retries indefinitely.

Guarantee: it registers a file once (one Idempotency-Key), sends a segment again only if the segment is missing or its
response was lost, waits as long as Retry-After says, and uses the other gateway when one does not respond. It sends
wanted segments next, unless its plan says that it does not know of them. It stops when its upload has ended, when its
scenario says so (cancelled, abandoned), or when it receives an error that cannot be retried.

Redis holds all that is known of a direct upload, of an import, and of an upload that waits. When it loses that, the
client begins again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import uuid
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.harness.cell import ENDED
from tests.harness.keys import bearer
from tests.programs.torture.callers import Caller
from tests.programs.torture.files import File
from tests.programs.torture.schedule import PlannedUpload, Scenario

TIMEOUT = aiohttp.ClientTimeout(total=90, sock_connect=5, sock_read=30)
_SEGMENTS_AT_ONCE = 3
POLL_SECONDS = 0.5
_BASE_SECONDS, _CAP_SECONDS = 0.3, 4.0
# Errors of a segment request that report a changed upload: the client reads the upload's status again.
STATUS_CHANGED = frozenset(
    {"UPLOAD_WAITING", "UPLOAD_ENDED", "UPLOAD_EXPIRED", "UPLOAD_CANCELLED", "UPLOAD_COMPLETE", "TEMP_FILE_MISSING"}
)
# Neither is a failure: the segment is sent again in the next round, if it is still missing.
_NOT_NOW = STATUS_CHANGED | {"SEGMENT_WINDOW_FULL"}
# Redis may have lost an upload that waits.
_NOT_CANCELLED = STATUS_CHANGED | {"UPLOAD_NOT_FOUND"}
_RETRYABLE_STATUS = frozenset({408, 429, 500, 502, 503, 504, 507})
_RETRYABLE_CODES = frozenset({"SEGMENT_CUT_OFF", "SEGMENT_DIGEST_WRONG"})


UNKNOWN = "unknown after data loss"
"""The status of an upload that Redis has lost and that has not become a content."""

RequestsAgain = Callable[["Client", "ClientUpload"], Awaitable[None]]


class RefusedError(Exception):
    """A response that the client cannot retry."""


@dataclass
class Traffic:
    """Counters over all clients of a run."""

    requests: int = 0
    retries: int = 0
    sent_bytes: int = 0
    window_full: int = 0
    """Segments that were refused because there was no room for them."""


@dataclass
class ClientUpload:
    """One upload as its client knows it."""

    plan: PlannedUpload
    file: File
    caller: Caller
    upload_id: str | None = field(default=None, init=False)
    view: Mapping[str, Any] | None = field(default=None, init=False)
    """The latest that the API has returned."""
    error: str | None = field(default=None, init=False)
    """Why the client gave up, if it did."""
    key: str = field(default_factory=lambda: str(uuid.uuid4()), init=False)
    is_done: bool = field(default=False, init=False)
    """The client sends no more requests."""
    wanted: frozenset[int] = field(default=frozenset(), init=False)
    """Segments that the server wants next."""
    forgotten: list[str] = field(default_factory=list, init=False)
    """Ids of earlier attempts that Redis has lost."""
    waited: bool = field(default=False, init=False)
    """Whether it was waiting when it was last seen before Redis lost it, or before its client cancelled it."""
    acknowledged: set[int] = field(default_factory=set, init=False)
    """Segments that a gateway has accepted."""

    @property
    def status(self) -> str:
        return str(self.view["status"]) if self.view else "never registered"

    def forget(self) -> None:
        """Redis has lost this attempt: the next one has an Idempotency-Key of its own."""
        self.forgotten.append(str(self.upload_id))
        self.acknowledged.clear()
        self.key = str(uuid.uuid4())

    @property
    def missing(self) -> list[int]:
        """The segments that the server wants to receive."""
        assert self.view is not None
        return sorted(numbers(self.view["missing_segments"]))

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED | {UNKNOWN} or self.error is not None


class Client:
    """Uploads files through any of `gateways`, as `caller`. `requests_again` is called when the server requests
    segments that it has acknowledged; the client then sends those that are still missing."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        gateways: Sequence[str],
        traffic: Traffic,
        caller: Caller,
        requests_again: RequestsAgain,
    ) -> None:
        self._http = http
        self._caller = caller
        self._requests_again = requests_again
        self._gateways = list(gateways)
        self.traffic = traffic
        self._dice = random.Random()

    async def send(self, upload: ClientUpload) -> None:
        """Upload a file through a gateway until the upload has ended, or its client cancels or abandons it. Raises
        RefusedError."""
        await self.create(upload)
        await self._send_segments(upload)
        while upload.status == UNKNOWN and upload.waited:
            upload.forget()
            await self.create(upload)
            await self._send_segments(upload)

    async def refresh(self, upload: ClientUpload) -> None:
        """Read the status. Redis may have lost an upload that has ended: the contents then tell whether it is ready."""
        path = f"/v1/uploads/{upload.upload_id}"
        found = await self.call("GET", path, expected_errors=frozenset({"UPLOAD_NOT_FOUND"}))
        if found:
            upload.view = found
            upload.wanted = numbers(found.get("wanted_segments", ()))
            return
        assert upload.view is not None
        upload.waited = upload.status == "waiting"
        path = f"/v1/contents/{upload.upload_id}"
        content = await self.call("GET", path, expected_errors=frozenset({"CONTENT_NOT_FOUND"}))
        upload.view = {**upload.view, "status": "ready" if content else UNKNOWN}

    async def create(self, upload: ClientUpload, **more: str) -> None:
        file = upload.file
        body = {"filename": file.name, "size": len(file.data), "content_type": file.content_type, **more}
        if self._caller.needs_permit(upload.key):
            wanted = {"max_size": len(file.data), "content_types": [file.content_type]}
            permit = await self.call("POST", "/v1/permits", json=wanted)
            self._caller.permitted(upload.key, permit["token"])
        headers = {"Idempotency-Key": upload.key}
        upload.view = await self.call("POST", "/v1/uploads", json=body, headers=headers)
        upload.upload_id = str(upload.view["id"])
        self._caller.created(upload.view["upload_token"]["token"])

    async def _send_segments(self, upload: ClientUpload) -> None:
        assert upload.view is not None
        count = int(upload.view["segment_count"])
        stops_early = upload.plan.scenario in (Scenario.CANCELLED, Scenario.ABANDONED)
        enough = round(upload.plan.part * count) if stops_early else None
        while upload.status not in ENDED | {UNKNOWN}:
            missing = upload.missing
            if upload.acknowledged.intersection(missing):
                await self._requests_again(self, upload)
                continue
            if enough is not None and count - len(missing) >= enough:
                if upload.plan.scenario is Scenario.CANCELLED:
                    upload.waited = upload.status == "waiting"
                    await self.call("DELETE", f"/v1/uploads/{upload.upload_id}", expected_errors=_NOT_CANCELLED)
                return
            if upload.status == "waiting" or not missing:
                await asyncio.sleep(POLL_SECONDS * self._dice.uniform(0.5, 1.5))
            else:
                await self._put_all(upload, missing if enough is None else missing[: enough - (count - len(missing))])
            await self.refresh(upload)

    async def _put_all(self, upload: ClientUpload, missing: Sequence[int]) -> None:
        """Send each once. A segment that is refused for want of room is still missing in the next round."""
        assert upload.view is not None
        size = int(upload.view["segment_size"])
        left = list(missing)
        if not upload.plan.obeys:
            self._dice.shuffle(left)

        async def put_some() -> None:
            while left:
                wanted = [number for number in left if number in upload.wanted and upload.plan.obeys]
                number = (wanted or left)[0]
                left.remove(number)
                data = upload.file.data[(number - 1) * size : number * size]
                digest = b64encode(hashlib.sha256(data).digest()).decode()
                headers = {"Content-Digest": f"sha-256=:{digest}:"}
                path = f"/v1/uploads/{upload.upload_id}/segments/{number}"
                answer = await self.call("PUT", path, data=data, headers=headers, expected_errors=_NOT_NOW)
                if answer:
                    upload.acknowledged.add(number)
                    self.traffic.sent_bytes += len(data)
                    upload.wanted = numbers(answer.get("wanted_segments", ()))
                await asyncio.sleep(upload.plan.pause_seconds)

        await asyncio.gather(*(put_some() for _ in range(_SEGMENTS_AT_ONCE)))

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
        more = options.pop("headers", {})
        gateway = self._dice.randrange(len(self._gateways))
        while True:
            self.traffic.requests += 1
            self.traffic.retries += attempt > 0
            retry_after_seconds = 0.0
            try:
                url = self._gateways[gateway % len(self._gateways)] + path
                credential = await self._caller.credential(method, path)
                headers = {**more, **bearer(credential)}
                async with self._http.request(method, url, timeout=TIMEOUT, headers=headers, **options) as response:
                    body = await response.read()
                    if response.status < 400:
                        return body
                    error = json.loads(body)["error"]
                    retry_after_seconds = float(response.headers.get("Retry-After", 0))
                    self.traffic.window_full += error["code"] == "SEGMENT_WINDOW_FULL"
                    if error["code"] in expected_errors:
                        await asyncio.sleep(retry_after_seconds)
                        return b""
                    if await self._caller.replaces(credential, error["code"]):
                        continue
                    if not (response.status in _RETRYABLE_STATUS or error["code"] in _RETRYABLE_CODES):
                        raise RefusedError(f"{method} {path}: {response.status} {error}")
            except (TimeoutError, aiohttp.ClientError, json.JSONDecodeError):
                gateway += 1
            attempt += 1
            step = min(_CAP_SECONDS, _BASE_SECONDS * 2.0 ** min(attempt, 10))
            await asyncio.sleep(max(retry_after_seconds, step * self._dice.uniform(0.5, 1)))


def numbers(ranges: Iterable[Sequence[int]]) -> frozenset[int]:
    """The numbers in inclusive ranges."""
    return frozenset(number for first, last in ranges for number in range(first, last + 1))
