"""Persist: one transaction turns what the stages have found into a content. After it the upload is `ready`."""

from __future__ import annotations

from pipeline.core.model import ContentRecord
from pipeline.core.stages import Stage
from pipeline.engine.contract import Done, Outcome, StageRun
from pipeline.ports import ContentRepository, StageBoard
from pipeline.stages.stored_object import stored_from_data


class Persist:
    """The handler of stage `persist`."""

    def __init__(self, stages: StageBoard, contents: ContentRepository) -> None:
        self._stages = stages
        self._contents = contents

    async def __call__(self, run: StageRun) -> Outcome:
        upload = run.upload
        results = await self._stages.results(upload.upload_id)
        thumbnail = results.get(Stage.THUMBNAIL)
        await self._contents.save(
            ContentRecord(
                content_id=upload.upload_id,
                filename=upload.filename,
                content_type=upload.content_type,
                # what there was no need to seal, assemble has found in the store
                stored=stored_from_data(results.get(Stage.SEAL) or results[Stage.ASSEMBLE]),
                thumbnail=stored_from_data(thumbnail) if thumbnail else None,
                media=results[Stage.PROBE],
                metadata=upload.metadata,
            )
        )
        return Done()
