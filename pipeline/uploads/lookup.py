"""Finding an upload, and saying truly why there is none."""

from __future__ import annotations

from pipeline.core.errors import DependencyUnavailable, SluiceError, UploadEnded
from pipeline.core.model import Upload
from pipeline.ports import UploadBoard, UploadJournals


async def find_upload(board: UploadBoard, journals: UploadJournals, upload_id: str) -> Upload:
    """Raises RequestError UPLOAD_NOT_FOUND; DependencyUnavailable UPLOAD_RECOVERING where Redis has lost it and its
    journal has not."""
    try:
        return await board.get(upload_id)
    except SluiceError as error:
        raise await why_not_found(journals, upload_id, error) from None


async def why_not_found(journals: UploadJournals, upload_id: str, error: SluiceError) -> SluiceError:
    """`error`, unless it says that there is no such upload and a journal says that there is."""
    if error.code == "UPLOAD_NOT_FOUND" and await journals.read(upload_id) is not None:
        return DependencyUnavailable("UPLOAD_RECOVERING", upload_id=upload_id)
    return error


def ended_error(upload: Upload) -> UploadEnded:
    """The error for whoever wants to add to an upload that is over."""
    return UploadEnded(
        "UPLOAD_ENDED", upload_id=upload.upload_id, status=str(upload.status), error_code=upload.error_code
    )
