"""Follows uploads until the server has processed them: by an event stream, or by polling where there are many.

Guarantee: the first view shows the upload after the call, also if nothing has changed; later ones are yielded when
something has. An event stream costs the server a connection and up to ten events a second for each upload, so a run
with many files polls. It polls each upload when it is likely to be ready, judged by those that were before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from deploy.cli.client import ENDED, OnRetry, SluiceClient
from schemas.uploads import UploadView

_SHORTEST_SECONDS: Final = 0.1
_LONGEST_SECONDS: Final = 2.0
# The first poll comes after this share of the usual processing time, and each later one after a quarter of the time
# waited so far. So an upload is seen as ready at most about a quarter late, after two or three requests.
_FIRST_SHARE: Final = 0.75
_NEXT_SHARE: Final = 0.25
_WEIGHT_OF_LATEST: Final = 0.25


class Follower:
    """Follows the uploads of one run."""

    def __init__(self, client: SluiceClient) -> None:
        self._client = client
        self._usual_seconds = 0.0

    def views(self, upload: UploadView, on_retry: OnRetry, *, alone: bool) -> AsyncGenerator[UploadView, None]:
        """The views of an upload until it has ended. `alone`: no other upload of this run is in flight."""
        return self._client.follow(upload, on_retry) if alone else self._poll(upload, on_retry)

    async def _poll(self, upload: UploadView, on_retry: OnRetry) -> AsyncGenerator[UploadView, None]:
        clock = asyncio.get_running_loop().time
        waiting = upload.status == "waiting"  # for room, which has nothing to do with the processing time
        began = clock()
        pause = 0.0 if waiting else self._usual_seconds * _FIRST_SHARE
        last: UploadView | None = None
        while True:
            await asyncio.sleep(min(max(pause, _SHORTEST_SECONDS), _LONGEST_SECONDS))
            now = await self._client.upload(upload.id, on_retry)
            if now.status == "ready" and not waiting:
                latest = clock() - began
                known = self._usual_seconds or latest
                self._usual_seconds = known + _WEIGHT_OF_LATEST * (latest - known)
            if now != last:
                last = now
                yield now
            if now.status in ENDED:
                return
            pause = (clock() - began) * _NEXT_SHARE
