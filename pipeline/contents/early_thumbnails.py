"""The thumbnail of an upload that is not a content yet.

Guarantee: what stage `thumbnail` has stored is found as soon as the stage is done, while segments still arrive. The
object exists as long as its upload is in flight.
"""

from __future__ import annotations

from pipeline.core.stages import Stage
from pipeline.ports import StageResults
from schemas.content import ContentObject


class EarlyThumbnails:
    """Finds thumbnails by the results of stages."""

    def __init__(self, results: StageResults) -> None:
        self._results = results

    async def find(self, upload_id: str) -> ContentObject | None:
        """None: it is not made yet, or there is none. Raises DependencyUnavailable."""
        found = (await self._results.results(upload_id)).get(Stage.THUMBNAIL)
        if not found:
            return None
        return ContentObject(
            store=found["store"],
            container=found["container"],
            key=found["key"],
            size_bytes=found["size_bytes"],
            etag=found["etag"],
            segment_count=1,
        )
