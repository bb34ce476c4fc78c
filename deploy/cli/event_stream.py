"""Server-sent events, as far as the gateway uses them: the `data` of each event (HTML standard, section 9.2.6)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp

# An event is one line of JSON, and aiohttp fails on a line that is longer than twice its read buffer.
_LINE_BYTES = 1024 * 1024


async def event_data(session: aiohttp.ClientSession, url: str) -> AsyncIterator[str]:
    """Yields the data of every event until the server ends the stream.

    Comments (heartbeats) are skipped, several data lines are joined by newlines. Raises aiohttp.ClientError and
    TimeoutError.
    """
    async with session.get(url, headers={"Accept": "text/event-stream"}, read_bufsize=_LINE_BYTES) as response:
        response.raise_for_status()
        lines: list[str] = []
        async for raw in response.content:
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            if not line:
                if lines:
                    yield "\n".join(lines)
                lines = []
            elif line.startswith("data:"):
                lines.append(line.removeprefix("data:").removeprefix(" "))
