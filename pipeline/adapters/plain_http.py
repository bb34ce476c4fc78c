"""`ports.PlainClient`: a client that uses presigned URLs as a browser or an app does.

Guarantee: it follows no redirect, keeps no cookie, sends no header that was not given except those of HTTP itself, and
ends within its time limit. The operator configures where the URLs lead, so their target is not checked.
"""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp
from yarl import URL

from pipeline.adapters.own_session import TIMEOUT_SECONDS, OwnSession
from pipeline.core.errors import StoreUnavailable
from pipeline.ports import PlainResponse


class HttpPlainClient(OwnSession):
    """Opened by `async with`."""

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None, max_bytes: int
    ) -> PlainResponse:
        """See `PlainClient.request`."""
        try:
            async with self._session.request(
                method, URL(url, encoded=True), headers=headers, data=body, allow_redirects=False
            ) as response:
                received = bytearray()
                async for block in response.content.iter_any():
                    received += block
                    if len(received) > max_bytes:
                        response.close()
                        break
                found = {name.lower(): value for name, value in response.headers.items()}
                return PlainResponse(response.status, found, bytes(received[:max_bytes]))
        except TimeoutError as error:
            raise StoreUnavailable(reason=f"no response within {TIMEOUT_SECONDS:.0f} s") from error
        except aiohttp.ClientConnectorError as error:  # its own text mentions TLS options, also for plain HTTP
            raise StoreUnavailable(reason=f"no response: {error.os_error.strerror or error.os_error}") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise StoreUnavailable(reason=f"no response: {str(error) or type(error).__name__}") from error
