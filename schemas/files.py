"""An upload as /files/ shows it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from schemas.examples import EXAMPLE_ID, SEGMENT, SERVER, UPLOAD

_EXAMPLE = {
    "id": EXAMPLE_ID,
    "offset": 3 * SEGMENT["size"],
    "size": UPLOAD["size"],
    "complete": False,
    "upload": f"{SERVER}/v1/uploads/{EXAMPLE_ID}",
}


class FileView(BaseModel):
    """How far an upload has come."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_EXAMPLE]})

    id: str = Field(description="The id of the upload, and of the content that it becomes")
    offset: int = Field(description="Bytes that have arrived without a gap: where the next request appends")
    size: int | None = Field(description="Bytes in the whole file; null while its length is not known")
    complete: bool = Field(description="Whether every byte has arrived")
    upload: str = Field(description="URL of the upload's status, for a caller that may see it")
