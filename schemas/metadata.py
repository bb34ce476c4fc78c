"""Texts that clients give to a file: its name, and keys and values that Sluice keeps and does not interpret."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

CONTROL_CHARACTERS: Final = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""As the inside of a character class: control characters, line and paragraph separators, and what reorders text (marks,
embeddings, overrides and isolates of the bidirectional algorithm). A name that has one can look like another."""

FILENAME_EXCLUDED: Final = rf"{CONTROL_CHARACTERS}/\\"
"""Characters that no `filename` contains, as the inside of a character class."""

MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=rf"^[^{CONTROL_CHARACTERS}]+$")]
# PostgreSQL stores every Unicode character except NUL. A value is text of any kind, and only ever part of JSON.
MetadataValue = Annotated[str, StringConstraints(max_length=1024, pattern=r"^[^\x00]*$")]

METADATA_BYTES: Final = 16 * 1024
"""Of all keys and values together, in UTF-8: Redis holds them as long as the upload."""


def _bounded(metadata: dict[str, str]) -> dict[str, str]:
    if sum(len(text.encode()) for item in metadata.items() for text in item) > METADATA_BYTES:
        raise PydanticCustomError("metadata_too_large", "Keys and values must have at most 16384 bytes in all (UTF-8)")
    return metadata


Metadata = Annotated[
    dict[MetadataKey, MetadataValue],
    Field(
        max_length=32,
        json_schema_extra={"additionalProperties": False},
        description="Kept with the content, not interpreted. Keys and values together have at most 16,384 bytes "
        "(UTF-8)",
    ),
    AfterValidator(_bounded),
]
