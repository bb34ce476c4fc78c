"""What `@uppy/aws-s3` sends to Companion, and what it reads of the responses. These have no envelope, and names as Uppy
and S3 have them: a part is a segment.

Unknown members and parameters are ignored: other versions of the plugin send more.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel, StringConstraints

from schemas import companion_examples as examples
from schemas.media_types import UNKNOWN, MediaType
from schemas.metadata import CONTROL_CHARACTERS, FILENAME_EXCLUDED

PARTS: Final = 10_000
"""No version of the plugin sends more parts of one file."""

_NOT_IN_NAME: Final = re.compile(f"[{FILENAME_EXCLUDED}]")
_NOT_IN_KEY: Final = re.compile(f"[{CONTROL_CHARACTERS}]")
_OF_THE_FILE: Final = frozenset({"name", "type", "size"})
_PART: Final = "([1-9][0-9]{0,3}|10000)"
_SIZE: Final = re.compile(r"[0-9]{1,16}")

_Key = Annotated[str, StringConstraints(min_length=1, max_length=64)]
PartNumber = Annotated[int, Field(ge=1, le=PARTS)]


def _text(value: JsonValue) -> str:
    """A value of the metadata, which are text: other values as JSON. No text has a NUL."""
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).replace("\0", "")


class _Sent(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class UppyFile(_Sent):
    """Body of `POST /s3/multipart`."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.FILE]})

    filename: str = Field(min_length=1, max_length=255, examples=["holiday.mp4"])
    type: MediaType = UNKNOWN
    metadata: dict[_Key, JsonValue] | None = Field(
        None, max_length=32, description="Kept with the content. `size`: bytes in the whole file, if the page gives it"
    )

    @property
    def announced_bytes(self) -> int | None:
        """The size in the metadata, where the page has put it. Anything but a whole number is no size."""
        size = (self.metadata or {}).get("size")
        found = _SIZE.fullmatch(str(size)) if isinstance(size, int | str) and not isinstance(size, bool) else None
        return int(found[0]) if found else None

    def as_upload(self) -> dict[str, Any]:
        """As the body of `POST /v1/uploads`, except its size. Characters that a name must not have are replaced, as
        `sluice upload` does: Uppy's users cannot choose other names. What has no value is left out."""
        metadata = {
            _NOT_IN_KEY.sub("_", name): _text(value)
            for name, value in (self.metadata or {}).items()
            if name not in _OF_THE_FILE and value is not None
        }
        return {
            "filename": _NOT_IN_NAME.sub("_", self.filename),
            "content_type": self.type,
            "metadata": metadata,
            "transport": "direct",
        }


class UppyKey(_Sent):
    """Query of every request about an upload."""

    key: str | None = Field(None, max_length=64, description="`key` of the response to the creation; may be left out")


class UppyBatch(UppyKey):
    """Query of `GET /s3/multipart/{id}/batch`."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.BATCH]})

    partNumbers: str = Field(  # noqa: N815  # the name that Uppy sends
        min_length=1,
        max_length=600,
        pattern=rf"^{_PART}(,{_PART}){{0,99}}$",
        description="Numbers of parts, separated by commas; at most 100",
        examples=["1,2,3"],
    )


class SentPart(_Sent):
    """A part that the store has acknowledged to the plugin."""

    PartNumber: PartNumber
    ETag: str = Field(min_length=1, max_length=255)


class UppyParts(_Sent):
    """Body of `POST /s3/multipart/{id}/complete`."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.SENT_PARTS]})

    parts: list[SentPart] = Field(min_length=1, max_length=PARTS)


class MultipartCreated(BaseModel):
    """Response to the creation. `uploadId` names the upload and holds its token."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CREATED]})

    key: str = Field(description="Id of the upload, and of the content that it becomes")
    uploadId: str = Field(repr=False)  # noqa: N815  # the name that Uppy reads


class PartUrl(BaseModel):
    """Where to PUT one part."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.PART_URL]})

    url: str = Field(repr=False)
    expires: int = Field(description="Seconds until the URL expires")
    method: Literal["PUT"] = "PUT"


class PartUrls(BaseModel):
    """Where to PUT several parts, by their numbers."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.PART_URLS]})

    presignedUrls: dict[str, str] = Field(repr=False)  # noqa: N815  # the name that Uppy reads


class HeldPart(BaseModel):
    """A part that the store holds."""

    PartNumber: int
    Size: int
    ETag: str


class HeldParts(RootModel[list[HeldPart]]):
    """Every part that the store holds, in order of number."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.HELD_PARTS]})


class MultipartCompleted(BaseModel):
    """Response to the completion."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.COMPLETED]})

    location: str = Field(description="URL of the upload, which shows how it becomes a content")
    key: str = Field(description="Id of the upload, and of the content that it becomes")


class MultipartAborted(BaseModel):
    """Response to DELETE: an empty object."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}]})
