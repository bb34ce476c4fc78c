"""Requests of tests to the servers of an embedded stack, and a helper that waits for a condition."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import Message
from email.utils import formatdate

import asyncpg


def request(
    method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> tuple[int, Mapping[str, str], bytes]:
    """(status, headers by lower-case name, body) of one request to loopback."""
    prepared = urllib.request.Request(url, data=body, headers=dict(headers or {}), method=method)  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(prepared, timeout=30) as response:
            return response.status, _lower(response.headers), response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _lower(error.headers), error.read()


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.02)


def select(database_url: str, query: str) -> object:
    """The single value that a query returns."""

    async def fetch() -> object:
        connection = await asyncpg.connect(database_url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(fetch())


def signed_list_buckets(endpoint: str, access_key: str, secret_key: str) -> int:
    """The status of an S3 ListBuckets request with a version 2 signature, which is short enough to compute here."""
    date = formatdate(usegmt=True)
    digest = hmac.new(secret_key.encode(), f"GET\n\n\n{date}\n/".encode(), hashlib.sha1).digest()
    authorization = f"AWS {access_key}:{base64.b64encode(digest).decode()}"
    return request("GET", f"{endpoint}/", {"Date": date, "Authorization": authorization})[0]


def put_and_get(storage_url: str, token: str) -> None:
    """Put an object and read it back."""
    auth = {"X-Auth-Token": token}
    assert request("PUT", f"{storage_url}/trial", auth)[0] in (201, 202)
    assert request("PUT", f"{storage_url}/trial/object", auth, b"bytes")[0] == 201
    status, _, body = request("GET", f"{storage_url}/trial/object", auth)
    assert (status, body) == (200, b"bytes")
