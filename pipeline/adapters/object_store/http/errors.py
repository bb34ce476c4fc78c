"""What the HTTP client raises, as errors of the catalogue: no answer came, so the same request may succeed later.

Guarantee: nothing of aiohttp's leaves an adapter.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

from pipeline.core.errors import StoreError, StoreUnavailable

# A reason is for a person: more of an error page than this helps nobody.
_REASON_BYTES = 512


@contextmanager
def driver_errors(what: str) -> Iterator[None]:
    """Turn every error of the HTTP client into StoreUnavailable; a URL that is none is a wrong setting and refused
    for good."""
    try:
        yield
    except aiohttp.InvalidURL as error:
        raise StoreError("STORE_REJECTED", reason=f"{what}: {error} is no URL") from error
    except TimeoutError as error:
        raise StoreUnavailable(reason=f"{what}: {str(error) or 'nothing moved within the time that is set'}") from error
    except (aiohttp.ClientError, OSError) as error:
        raise StoreUnavailable(reason=f"{what}: {str(error) or type(error).__name__}") from error


async def first_words(response: aiohttp.ClientResponse) -> str:
    """What the store has to say beside the status, at most 512 bytes of it."""
    if "html" in response.headers.get("Content-Type", ""):
        return ""  # Swift's error pages say the status once more, in a sentence
    try:
        said = await response.content.read(_REASON_BYTES)
    except (aiohttp.ClientError, OSError):
        return ""
    return " ".join(said.decode("utf-8", "replace").split())
