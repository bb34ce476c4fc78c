"""Which trace an upload belongs to.

Guarantee: a trace is read from Redis at most once while it is cached; it never changes. No error is raised: a request
without the trace of its upload is served, too.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from pipeline.core.errors import SluiceError
from pipeline.ports import UploadReader

_CACHED: Final = 10_000


class UploadTraces:
    """Of the uploads of one cell."""

    def __init__(self, uploads: UploadReader) -> None:
        self._uploads = uploads
        self._known: OrderedDict[str, str | None] = OrderedDict()

    async def of(self, upload_id: str) -> str | None:
        """The traceparent of the request that created it; None: it has none, or it cannot be read now."""
        if upload_id in self._known:
            return self._known[upload_id]
        try:
            found = (await self._uploads.get(upload_id)).traceparent
        except SluiceError:
            return None
        self._known[upload_id] = found
        while len(self._known) > _CACHED:
            self._known.popitem(last=False)
        return found
