"""Examples of what `@uppy/aws-s3` sends and reads: the file of `schemas.examples`, in seven parts."""

from __future__ import annotations

from typing import Any, Final

from schemas.examples import CREATE_UPLOAD, EXAMPLE_ID, GRANTS, SEGMENT, SERVER, Example

_PART_BYTES: Final = SEGMENT["size"]
_ETAGS: Final = (
    '"f91198fd97de441a9594e665d6c190cb"',
    '"1c7b0b918ec1eb1fa8e1145a4722087b"',
    '"f1c9645dbc14efddc7d8a322685f26eb"',
    '"5f363e0e58a95f06cbe9bbc662c5dfb6"',
    '"7f614da9329cd3aebf59b91aadc30bf0"',
    '"b2d1236c286a3c0704224fe4105eca49"',
    '"96995b58d4cbf6aaf3a5d2a1a3c1e2d4"',
)

FILE: Final[Example] = {
    "filename": CREATE_UPLOAD["filename"],
    "type": CREATE_UPLOAD["content_type"],
    "metadata": {
        "name": CREATE_UPLOAD["filename"],
        "type": CREATE_UPLOAD["content_type"],
        "size": CREATE_UPLOAD["size"],
        **CREATE_UPLOAD["metadata"],
    },
}
CREATED: Final[Example] = {"key": EXAMPLE_ID, "uploadId": f"{EXAMPLE_ID}~eyJhbGciOiJIUzI1NiIs...t5qWYt"}

_URLS: Final = {str(granted["number"]): granted["url"] for granted in GRANTS["segments"]}

PART_URL: Final[Example] = {"url": _URLS["4"], "expires": GRANTS["expires_in"], "method": "PUT"}
BATCH: Final[Example] = {"partNumbers": ",".join(_URLS)}
PART_URLS: Final[Example] = {"presignedUrls": _URLS}

HELD_PARTS: Final[list[Any]] = [
    {"PartNumber": number, "Size": _PART_BYTES, "ETag": _ETAGS[number - 1]} for number in (1, 2, 3, 5, 6)
]
SENT_PARTS: Final[Example] = {
    "parts": [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(_ETAGS, start=1)]
}
COMPLETED: Final[Example] = {"location": f"{SERVER}/v1/uploads/{EXAMPLE_ID}", "key": EXAMPLE_ID}
