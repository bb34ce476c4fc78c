"""Responses that an adapter parses: bounded, and checked before anything is believed.

Guarantee: no response makes the process hold more than `limit_bytes` of it, and what is not as it must be raises
StoreUnavailable that names the request and the problem. A response that means nothing is never a success.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import aiohttp

from pipeline.adapters.object_store.integrity import unquoted
from pipeline.core.errors import StoreUnavailable

MEBIBYTE = 1024 * 1024
# A listing of 10,000 names of 1,024 bytes each, a manifest of 10,000 segments, a catalogue of hundreds of services.
PARSED_BYTES = 32 * MEBIBYTE

READ_BYTES = 128 * 1024
"""Block in which an object is read for a client. aiohttp holds twice as much of each response, and more if a block is
larger (`StreamReader.set_read_chunk_size`): with blocks of 1 MiB a slow client cost the gateway 3.5 MiB."""

_MOST_BYTES = 2**63 - 1


def unusable(what: str, problem: str) -> StoreUnavailable:
    """The error for a response that does not have the form it must have."""
    return StoreUnavailable(reason=f"{what}: the response cannot be used: {problem}")


async def read_bounded(response: aiohttp.ClientResponse, what: str, limit_bytes: int = PARSED_BYTES) -> bytes:
    """The whole body. Raises StoreUnavailable when it has more than `limit_bytes`, and errors of the HTTP client; the
    connection is then closed."""
    blocks: list[bytes] = []
    left = limit_bytes
    try:
        async for block in response.content.iter_any():
            left -= len(block)
            if left < 0:
                raise unusable(what, f"it has more than {limit_bytes} bytes")
            blocks.append(block)
    except BaseException:
        response.close()
        raise
    return b"".join(blocks)


async def read_json(response: aiohttp.ClientResponse, what: str, limit_bytes: int = PARSED_BYTES) -> Any:
    """The body as JSON. Raises StoreUnavailable."""
    return parse_json(await read_bounded(response, what, limit_bytes), what)


def parse_json(body: bytes, what: str) -> Any:
    """Raises StoreUnavailable."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:  # ValueError: no JSON, no UTF-8, or a number of too many digits
        problem = str(error) if body else "it is empty"
        raise unusable(what, f"it is not JSON ({problem})") from error


def whole_number(value: object, what: str, name: str) -> int:
    """A number of bytes, from JSON or from a header. Raises StoreUnavailable."""
    number = -1
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        number = int(value)
    if not 0 <= number <= _MOST_BYTES:
        raise unusable(what, f"{name} is {_shown(value)}")
    return number


def text(value: object, what: str, name: str) -> str:
    """A text that is not empty and can be written as UTF-8. Raises StoreUnavailable."""
    if not isinstance(value, str) or not value or not _is_unicode(value):
        raise unusable(what, f"{name} is {_shown(value)}")
    return value


def size_and_etag(headers: Mapping[str, str], what: str) -> tuple[int, str]:
    """Length and ETag from the headers of an object. Raises StoreUnavailable when one of them is missing or no such
    value."""
    size_bytes = whole_number(headers.get("Content-Length"), what, "Content-Length")
    return size_bytes, text(unquoted(headers.get("ETag")), what, "ETag")


def _is_unicode(value: str) -> bool:
    """False for what `surrogateescape` makes of bytes that are no UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(value: object) -> str:
    return "missing" if value is None else ascii(value)[:100]
