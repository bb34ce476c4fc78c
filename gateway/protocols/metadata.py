"""Upload-Metadata of tus 1.0 (creation extension): what a client says about its file.

Guarantee: what HEAD returns is what was sent at creation. All of it becomes the content's metadata; its name and type
are taken from the keys that clients use for them.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Final

from pipeline.core.errors import RequestError
from schemas import media_types

UNNAMED: Final = "upload"
"""The filename of an upload whose client names none."""

FILENAME_KEYS: Final = ("filename", "name")
TYPE_KEYS: Final = ("filetype", "type", "content_type")

_KEY: Final = re.compile(r"[\x21-\x2b\x2d-\x7e]+")
_MOST_BYTES: Final = 8190
"""Of a header field that HTTP clients accept: that of aiohttp and of most servers."""


def parse(lines: Sequence[str]) -> dict[str, str]:
    """The pairs of an Upload-Metadata field; none if it is empty, as tuspy sends it. Raises RequestError
    UPLOAD_HEADER_INVALID."""
    found: dict[str, str] = {}
    text = ",".join(line for line in lines if line.strip())
    for pair in text.split(",") if text else []:
        key, _, value = pair.strip().partition(" ")
        if not _KEY.fullmatch(key):
            raise _invalid("a key is empty, or has characters other than visible ASCII")
        if key in found:
            raise _invalid("a key occurs twice")
        try:
            found[key] = b64decode(value.strip(), validate=True).decode()
        except ValueError:  # also binascii.Error and UnicodeDecodeError
            raise _invalid("a value is not UTF-8 text in base64") from None
    return found


def serialize(metadata: Mapping[str, str]) -> str:
    """As a header field. Pairs that were not sent with tus and cannot be represented are left out."""
    pairs = (
        f"{key} {b64encode(value.encode()).decode()}" if value else key
        for key, value in metadata.items()
        if _KEY.fullmatch(key)
    )
    text = ",".join(pairs)
    return text if len(text) <= _MOST_BYTES else ""


def filename_of(metadata: Mapping[str, str]) -> str:
    return next((metadata[key] for key in FILENAME_KEYS if metadata.get(key)), "")


def content_type_of(metadata: Mapping[str, str]) -> str:
    """The media type that the client names, "" if it names none. Text that is no media type says nothing: browsers do
    not know the type of every file, and libraries then send "null" or "undefined"."""
    for key in TYPE_KEYS:
        try:
            media_types.parse(metadata.get(key, ""))
        except ValueError:
            continue
        if metadata.get(key):
            return metadata[key]
    return ""


def _invalid(reason: str) -> RequestError:
    return RequestError("UPLOAD_HEADER_INVALID", header="Upload-Metadata", reason=reason)
