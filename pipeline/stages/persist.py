"""Persist: one transaction turns the results of the other stages into a content. The upload is `ready` afterwards."""

from __future__ import annotations

from pipeline.core.model import ContentRecord
from pipeline.core.stages import Stage
from pipeline.engine.contract import Done, Outcome, StageRun
from pipeline.ports import ContentRepository, StageResults
from pipeline.stages.stored_object import stored_from_data


class Persist:
    """The handler of stage `persist`."""

    def __init__(self, results: StageResults, contents: ContentRepository) -> None:
        self._results = results
        self._contents = contents

    async def __call__(self, run: StageRun) -> Outcome:
        upload = run.upload
        results = await self._results.results(upload.upload_id)
        thumbnail = results.get(Stage.THUMBNAIL)
        await self._contents.save(
            ContentRecord(
                content_id=upload.upload_id,
                filename=upload.filename,
                content_type=upload.content_type,
                # an import is not sealed: assemble has found its object in the store
                stored=stored_from_data(results.get(Stage.SEAL) or results[Stage.ASSEMBLE]),
                thumbnail=stored_from_data(thumbnail) if thumbnail else None,
                media=results[Stage.PROBE],
                metadata=upload.metadata,
            )
        )
        return Done()
