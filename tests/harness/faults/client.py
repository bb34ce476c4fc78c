"""A client that follows the API: it repeats what may succeed later, until it succeeds or time is up.

Guarantee: it fails at once on a response that no repetition changes, so a lost upload fails its test.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from base64 import b64encode
from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any

import aiohttp

from tests.harness.cell import ENDED, Cell

PATIENCE_SECONDS = 120.0
# The longest response time on a busy machine. No request may hang, whichever dependency is unavailable.
_ANSWER_SECONDS = 30.0
_PAUSE_SECONDS = 0.2
_PASSING = frozenset({408, 429, 500, 502, 503, 504, 507})
_PASSING_CODES = frozenset({"UPLOAD_WAITING", "SEGMENT_CUT_OFF", "SEGMENT_DIGEST_WRONG"})


class PatientClient:
    """Sends whole uploads to one cell. `codes`: error codes received; `slowest_seconds`: the longest response time."""

    def __init__(self, cell: Cell, seconds: float = PATIENCE_SECONDS) -> None:
        self._cell = cell
        self._seconds = seconds
        self.codes: set[str] = set()
        self.slowest_seconds = 0.0

    async def upload(self, data: bytes) -> dict[str, Any]:
        """Create an upload, send all of it and wait for its end; the last view."""
        upload = await self.create(len(data))
        await self.send(upload, data)
        return await self.end(upload["id"], data=data)

    async def create(self, size_bytes: int) -> dict[str, Any]:
        """Create one upload; its Idempotency-Key makes repetitions harmless."""
        body = {"filename": "file.mp4", "size": size_bytes, "content_type": "video/mp4"}
        headers = {"Idempotency-Key": secrets.token_hex(8)}
        upload = await self._until_accepted("POST", "/v1/uploads", json=body, headers=headers)
        self._cell.uploads.append(upload["id"])
        return upload

    async def send(
        self, upload: Mapping[str, Any], data: bytes, *, numbers: Iterable[int] | None = None, at_once: int = 2
    ) -> None:
        """These segments, in order; None: all of them."""
        slots = asyncio.Semaphore(at_once)

        async def one(number: int) -> None:
            part = data[(number - 1) * upload["segment_size"] : number * upload["segment_size"]]
            digest = b64encode(hashlib.sha256(part).digest()).decode()
            headers = {"Content-Digest": f"sha-256=:{digest}:"}
            async with slots:
                path = f"/v1/uploads/{upload['id']}/segments/{number}"
                await self._until_accepted("PUT", path, part, headers=headers)

        await asyncio.gather(*(one(number) for number in numbers or range(1, upload["segment_count"] + 1)))

    async def end(self, upload_id: str, *, wanted: str = "ready", data: bytes | None = None) -> dict[str, Any]:
        """Wait until the upload has ended; its status must be `wanted`. Of `data`, segments that are requested again
        are sent: those that the store has lost after they had left the temp volume."""
        view: dict[str, Any] = {}
        try:
            async with asyncio.timeout(self._seconds):
                while view.get("status") not in ENDED:
                    view = await self._until_accepted("GET", f"/v1/uploads/{upload_id}")
                    if data is not None and view["status"] == "receiving":
                        missing = [n for first, last in view["missing_segments"] for n in range(first, last + 1)]
                        if missing:
                            await self.send(view, data, numbers=missing)
                    await asyncio.sleep(_PAUSE_SECONDS)
        except TimeoutError:
            raise AssertionError(f"{upload_id} has not ended within {self._seconds} s: {view}") from None
        assert view["status"] == wanted, view
        return view

    async def _until_accepted(
        self, method: str, path: str, part: bytes | None = None, **options: Any
    ) -> dict[str, Any]:
        last: object = None
        body: dict[str, Any]
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    try:
                        began = time.monotonic()
                        body = {} if part is None else {"data": BytesIO(part)}
                        async with asyncio.timeout(_ANSWER_SECONDS):
                            status, answer, headers = await self._cell.call(method, path, **options, **body)
                        self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)
                    except (aiohttp.ClientError, ConnectionError) as error:
                        last = error
                    else:
                        if status < 400:
                            data: dict[str, Any] = answer["data"]
                            return data
                        last = answer
                        code = answer["error"]["code"]
                        self.codes.add(code)
                        assert status in _PASSING or code in _PASSING_CODES, answer
                        assert status != 503 or int(headers["Retry-After"]) > 0, answer
                    await asyncio.sleep(_PAUSE_SECONDS)
        except TimeoutError:
            raise AssertionError(f"{method} {path} was not accepted: {last!r}") from None
