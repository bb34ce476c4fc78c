"""botocore's HTTP session with a limit on the responses that it holds in memory, and with request bodies in blocks.

Guarantee: a response that botocore parses, and an error's body, have at most `PARSED_BYTES`; a longer one raises
StoreUnavailable. An object's body is not read here, but block by block. A long request body does not block the event
loop.
"""

from __future__ import annotations

import ssl
from io import BytesIO
from typing import Any

from aiobotocore.httpsession import AIOHTTPSession

from pipeline.adapters.object_store.http.bodies import read_bounded


class BoundedSession(AIOHTTPSession):  # type: ignore[misc]  # the wheel ships no types
    """For `AioConfig(http_session_cls=...)`."""

    def _build_verify_context(self) -> ssl.SSLContext:
        """As its base, which trusts nothing but the file that `verify` names, if it names one."""
        context: ssl.SSLContext = super()._build_verify_context()
        context.load_default_certs()
        return context

    async def send(self, request: Any) -> Any:
        """As its base. That reads the body without a limit, unless the body is to be streamed."""
        if request.body and isinstance(request.body, bytes | bytearray):
            request.body = BytesIO(request.body)
        streamed = request.stream_output
        request.stream_output = True
        response = await super().send(request)
        request.stream_output = streamed
        if not streamed or response.status_code >= 300:
            what = f"{request.method} {request.url.partition('?')[0]}"
            response._content = await read_bounded(response.raw, what)  # where `content` keeps what it has read
        return response
