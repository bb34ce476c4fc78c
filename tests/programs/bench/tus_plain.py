"""A client of tus 1.0 in a few lines of aiohttp, for machines without Node.js: `tus_send.js` in Python.

It repeats what tus-js-client repeats (409, 423, 5xx and a broken connection), after the same pauses.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp

_PAUSES_SECONDS: Final = (0, 1, 3, 5)
_BLOCK_BYTES: Final = 1024 * 1024
_VERSION: Final = {"Tus-Resumable": "1.0.0"}


class _Refused(Exception):
    """A response that is not a success."""

    def __init__(self, status: int, refusal: str) -> None:
        super().__init__(refusal)
        self.may_pass = status in (409, 423) or status >= 500


class _Upload:
    """One file on its way."""

    def __init__(self, http: aiohttp.ClientSession, endpoint: str, file: Path) -> None:
        self._http, self._endpoint, self._file = http, endpoint, file
        self._size = file.stat().st_size
        self._url = ""
        self._offset = 0
        self._requests = 0
        self._statuses: list[int] = []
        self._refusals: list[str] = []

    async def run(self) -> dict[str, Any]:
        """What `tus_send.js` prints for a file."""
        began, failures = time.time(), 0
        end: dict[str, str] = {}
        while not end:
            before = self._offset
            try:
                await self._step(asks=failures > 0)
                failures = 0 if self._offset > before else failures
                end = {"url": self._url} if self._offset == self._size else {}
            except (_Refused, aiohttp.ClientError, TimeoutError) as error:
                if failures == len(_PAUSES_SECONDS) or (isinstance(error, _Refused) and not error.may_pass):
                    end = {"error": repr(error)}
                else:
                    await asyncio.sleep(_PAUSES_SECONDS[failures])
                    failures += 1
        times = {"began": began * 1000, "ended": time.time() * 1000}
        responses = {"statuses": self._statuses, "refusals": self._refusals}
        unanswered = self._requests - len(self._statuses)
        return {"file": str(self._file), **times, **responses, "unanswered": unanswered, **end}

    async def _step(self, *, asks: bool) -> None:
        """Create the upload, or send the rest of it, after a failure from the offset that the server names."""
        if not self._url:
            name, kind = (b64encode(value.encode()).decode() for value in (self._file.name, "video/mp4"))
            fields = {"Upload-Length": str(self._size), "Upload-Metadata": f"filename {name},filetype {kind}"}
            self._url = (await self._request("POST", self._endpoint, fields))["Location"]
            return
        if asks:
            self._offset = int((await self._request("HEAD", self._url, {}))["Upload-Offset"])
        fields = {
            "Upload-Offset": str(self._offset),
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(self._size - self._offset),
        }
        self._offset = int(
            (await self._request("PATCH", self._url, fields, _blocks(self._file, self._offset)))["Upload-Offset"]
        )

    async def _request(
        self, method: str, url: str, fields: Mapping[str, str], body: AsyncIterator[bytes] | None = None
    ) -> Mapping[str, str]:
        self._requests += 1
        async with self._http.request(method, url, data=body, headers={**_VERSION, **fields}) as response:
            self._statuses.append(response.status)
            if response.status >= 400:
                refusal = f"{method} {response.status} {_code(await response.read())}".strip()
                self._refusals.append(refusal)
                raise _Refused(response.status, refusal)
            return response.headers


def _code(body: bytes) -> str:
    """The code of an error of Sluice."""
    return str(json.loads(body)["error"]["code"]) if body else ""


async def _blocks(file: Path, offset: int) -> AsyncIterator[bytes]:
    with file.open("rb") as source:
        source.seek(offset)
        while block := source.read(_BLOCK_BYTES):
            yield block


async def _send(endpoint: str, files: list[str]) -> None:
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as http:
        for ended in asyncio.as_completed([_Upload(http, endpoint, Path(file)).run() for file in files]):
            sys.stdout.write(json.dumps(await ended) + "\n")


if __name__ == "__main__":
    asyncio.run(_send(**json.loads(sys.argv[1])))
