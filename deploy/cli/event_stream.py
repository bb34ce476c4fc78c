"""Server-sent events, as far as the gateway uses them: the `data` of each event (HTML standard, section 9.2.6)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

import aiohttp

# An event is one line of JSON, and aiohttp fails on a line that is longer than twice its read buffer.
_LINE_BYTES = 1024 * 1024

STREAM_ERRORS: Final = (TimeoutError, aiohttp.ClientError, ValueError)
"""What a stream that is broken or unavailable raises; ValueError is aiohttp's error for a line that is too long."""


async def event_data(session: aiohttp.ClientSession, url: str) -> AsyncGenerator[str, None]:
    """Yields the data of every event until the server ends the stream.

    Comments (heartbeats) are skipped, several data lines are joined by newlines. Raises STREAM_ERRORS. Close it
    (`contextlib.aclosing`) when you stop reading before its end, so that its connection is released.
    """
    headers = {"Accept": "text/event-stream"}
    async with session.get(url, headers=headers, read_bufsize=_LINE_BYTES, allow_redirects=False) as response:
        response.raise_for_status()
        if response.content_type != "text/event-stream":
            raise aiohttp.ClientPayloadError(f"{response.content_type} is not an event stream")
        lines: list[str] = []
        async for raw in response.content:
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            if not line:
                if lines:
                    yield "\n".join(lines)
                lines = []
            elif line.startswith("data:"):
                lines.append(line.removeprefix("data:").removeprefix(" "))
