"""The thumbnail of an upload while it runs, and until its record is removed.

Guarantee: what stage `thumbnail` has stored is found as soon as the stage is done, while segments still arrive. The
object exists as long as its upload is in flight. Afterwards the content says which one it is: a replay replaces it.
"""

from __future__ import annotations

from pipeline.core.errors import DependencyUnavailable, RequestError
from pipeline.core.stages import Stage
from pipeline.ports import ContentRepository, StageResults
from schemas.content import ContentObject


class EarlyThumbnails:
    """Finds thumbnails by the results of stages."""

    def __init__(self, results: StageResults, contents: ContentRepository) -> None:
        self._results = results
        self._contents = contents

    async def find(self, upload_id: str, *, is_content: bool) -> ContentObject | None:
        """None: it is not made yet, or there is none. Raises DependencyUnavailable where Redis is; while PostgreSQL is
        unavailable, the thumbnail of a content is the first one that was made."""
        if is_content:
            try:
                return (await self._contents.get(upload_id, None)).thumbnail
            except RequestError:  # the content is deleted
                return None
            except DependencyUnavailable:
                pass
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
