"""Errors of the HTTP client, as errors of the catalogue: no response came, so the same request may succeed later.

Guarantee: no error of aiohttp leaves an adapter.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

from pipeline.adapters.http_reasons import client_error_text
from pipeline.core.errors import StoreError, StoreUnavailable

# A person reads the reason; more of an error page than this does not help.
_REASON_BYTES = 512


@contextmanager
def driver_errors(what: str) -> Iterator[None]:
    """Turn every error of the HTTP client into StoreUnavailable, except an invalid URL: that is a wrong setting and
    becomes StoreError STORE_REJECTED."""
    try:
        yield
    except aiohttp.InvalidURL as error:
        raise StoreError("STORE_REJECTED", reason=f"{what}: {error} is not a URL") from error
    except TimeoutError as error:
        raise StoreUnavailable(reason=f"{what}: {str(error) or 'no progress within the configured time'}") from error
    except (aiohttp.ClientError, OSError) as error:
        raise StoreUnavailable(reason=f"{what}: {client_error_text(error)}") from error


async def reason_in_body(response: aiohttp.ClientResponse) -> str:
    """What the store says beside the status, at most 512 bytes of it."""
    if "html" in response.headers.get("Content-Type", ""):
        return ""  # Swift's error pages only repeat the status in a sentence
    try:
        body = await response.content.read(_REASON_BYTES)
    except (aiohttp.ClientError, OSError):
        return ""
    return on_one_line(body)


def on_one_line(body: bytes) -> str:
    """The first 512 bytes of an error body as text, white space folded."""
    return " ".join(body[:_REASON_BYTES].decode("utf-8", "replace").split())
