"""A client as a good one is: it knows nothing but the API, keeps its place, and goes on for as long as it takes.

Guarantee: it registers a file once (one Idempotency-Key), sends a segment again only when it is missing or its answer
was lost, waits as long as Retry-After says, and turns to the other gateway when one does not answer. It ends when its
upload has ended, when its plan says so (cancelled, abandoned), or when a refusal makes no sense to it.
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
from tests.programs.torture.schedule import Fate, PlannedUpload

_TIMEOUT = aiohttp.ClientTimeout(total=90, sock_connect=5, sock_read=30)
_AT_ONCE = 3
_LOOK_SECONDS = 0.5
_BASE_SECONDS, _CAP_SECONDS = 0.3, 4.0
# Refusals of a segment that say something about the upload: look at it again.
_LOOK_AGAIN = frozenset(
    {"UPLOAD_WAITING", "UPLOAD_ENDED", "UPLOAD_EXPIRED", "UPLOAD_CANCELLED", "UPLOAD_COMPLETE", "TEMP_FILE_MISSING"}
)
_LATER = frozenset({408, 429, 500, 502, 503, 504, 507})
_SAME_BYTES_MAY_PASS = frozenset({"SEGMENT_CUT_OFF", "SEGMENT_DIGEST_WRONG"})


FORGOTTEN = "forgotten"
"""The status of an upload that is gone from Redis without having become a content."""


class RefusedError(Exception):
    """An answer that a client can do nothing with."""


@dataclass
class Effort:
    """What it took, over all clients."""

    requests: int = 0
    retries: int = 0
    sent_bytes: int = 0


@dataclass
class Sent:
    """One upload as its client knows it."""

    plan: PlannedUpload
    file: File
    upload_id: str | None = None
    view: Mapping[str, Any] | None = None
    """The last that was seen."""
    error: str | None = None
    """Why the client gave up, where it did."""
    key: str = field(default_factory=lambda: str(uuid.uuid4()))
    is_done: bool = False
    """The client asks for nothing more."""

    @property
    def status(self) -> str:
        return str(self.view["status"]) if self.view else "never registered"


class Client:
    """Sends files through any of `gateways`."""

    def __init__(self, http: aiohttp.ClientSession, gateways: Sequence[str], effort: Effort) -> None:
        self._http = http
        self._gateways = list(gateways)
        self._effort = effort
        self._dice = random.Random()

    async def send(self, sent: Sent) -> None:
        """One upload until it has ended, or its client has left it."""
        try:
            await self._create(sent)
            await self._drive(sent)
        except RefusedError as refused:
            sent.error = str(refused)
        sent.is_done = True

    async def look(self, sent: Sent) -> None:
        """See how it stands. An upload whose end nobody has looked at may be forgotten: its content then tells."""
        found = await self.call("GET", f"/v1/uploads/{sent.upload_id}", look_again=frozenset({"UPLOAD_NOT_FOUND"}))
        if found:
            sent.view = found
            return
        assert sent.view is not None
        path = f"/v1/contents/{sent.upload_id}"
        content = await self.call("GET", path, look_again=frozenset({"CONTENT_NOT_FOUND"}))
        sent.view = {**sent.view, "status": "ready" if content else FORGOTTEN}

    async def _create(self, sent: Sent) -> None:
        file = sent.file
        body = {"filename": file.name, "size": len(file.data), "content_type": file.content_type}
        sent.view = await self.call("POST", "/v1/uploads", json=body, headers={"Idempotency-Key": sent.key})
        sent.upload_id = sent.view["id"]

    async def _drive(self, sent: Sent) -> None:
        assert sent.view is not None
        count = int(sent.view["segment_count"])
        enough = round(sent.plan.part * count) if sent.plan.fate in (Fate.CANCELLED, Fate.ABANDONED) else None
        while sent.status not in ENDED | {FORGOTTEN}:
            missing = [n for first, last in sent.view["missing_segments"] for n in range(first, last + 1)]
            if enough is not None and count - len(missing) >= enough:
                await self._leave(sent)
                return
            if sent.status == "waiting" or not missing:
                await asyncio.sleep(_LOOK_SECONDS * self._dice.uniform(0.5, 1.5))
            else:
                await self._put_all(sent, missing if enough is None else missing[: enough - (count - len(missing))])
            await self.look(sent)

    async def _leave(self, sent: Sent) -> None:
        if sent.plan.fate is Fate.CANCELLED:
            await self.call("DELETE", f"/v1/uploads/{sent.upload_id}", look_again=_LOOK_AGAIN)

    async def _put_all(self, sent: Sent, numbers: Sequence[int]) -> None:
        assert sent.view is not None
        size = int(sent.view["segment_size"])
        slots = asyncio.Semaphore(_AT_ONCE)

        async def put(number: int) -> None:
            part = sent.file.data[(number - 1) * size : number * size]
            digest = b64encode(hashlib.sha256(part).digest()).decode()
            headers = {"Content-Digest": f"sha-256=:{digest}:"}
            path = f"/v1/uploads/{sent.upload_id}/segments/{number}"
            async with slots:
                await self.call("PUT", path, data=part, headers=headers, look_again=_LOOK_AGAIN)
                self._effort.sent_bytes += len(part)
                await asyncio.sleep(sent.plan.pause_seconds)

        await asyncio.gather(*(put(number) for number in numbers))

    async def download(self, path: str) -> bytes:
        """The body, whole: a download that breaks off is begun again. Raises RefusedError."""
        return await self._repeat("GET", path, frozenset())

    async def call(
        self, method: str, path: str, *, look_again: frozenset[str] = frozenset(), **options: Any
    ) -> dict[str, Any]:
        """The answer's data; {} for a refusal in `look_again`. Repeats for as long as it takes. Raises RefusedError."""
        answer = await self._repeat(method, path, look_again, **options)
        data: dict[str, Any] = json.loads(answer)["data"] if answer else {}
        return data

    async def _repeat(self, method: str, path: str, look_again: frozenset[str], **options: Any) -> bytes:
        """The body of the first answer that is none to wait for; nothing for a refusal in `look_again`."""
        attempt = 0
        gateway = self._dice.randrange(len(self._gateways))
        while True:
            self._effort.requests += 1
            self._effort.retries += attempt > 0
            asked = 0.0
            try:
                url = self._gateways[gateway % len(self._gateways)] + path
                async with self._http.request(method, url, timeout=_TIMEOUT, **options) as response:
                    body = await response.read()
                    if response.status < 400:
                        return body
                    error = json.loads(body)["error"]
                    asked = float(response.headers.get("Retry-After", 0))
                    if error["code"] in look_again:
                        await asyncio.sleep(asked)
                        return b""
                    if not (response.status in _LATER or error["code"] in _SAME_BYTES_MAY_PASS):
                        raise RefusedError(f"{method} {path}: {response.status} {error}")
            except (TimeoutError, aiohttp.ClientError, json.JSONDecodeError):
                gateway += 1
            attempt += 1
            step = min(_CAP_SECONDS, _BASE_SECONDS * 2.0 ** min(attempt, 10))
            await asyncio.sleep(max(asked, step * self._dice.uniform(0.5, 1)))
