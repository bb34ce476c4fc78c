"""Media types (RFC 9110 section 8.3.1), the values of Content-Type: parsed, and written in one normal form.

Guarantee: what `parse` returns is a valid Content-Type header of printable ASCII, so it can be sent to any store and
client. Beyond the RFC it accepts what browsers report: an unquoted parameter value with characters that need quotes, as
MediaRecorder's `video/webm;codecs=vp9,opus`, and "" for a file whose type the browser does not know. Libraries split at
each semicolon or repair silently, so the grammar is here.
"""

from __future__ import annotations

import mimetypes
import re
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

UNKNOWN: Final = "application/octet-stream"
"""The type of bytes of which nothing else is known."""

MAX_CHARACTERS: Final = 1024
_MAX_NAME_CHARACTERS: Final = 127  # RFC 6838 section 4.2
_TOO_LONG: Final = f"it is longer than {MAX_CHARACTERS} characters"

_TOKEN_CHARACTER: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]"  # noqa: S105  # RFC 9110 section 5.6.2, not a secret
_TOKEN: Final = _TOKEN_CHARACTER + "+"
_ESSENCE: Final = re.compile(rf"({_TOKEN})/({_TOKEN})[ \t]*")
# A quoted string, else anything up to the next semicolon that is neither a quote nor a backslash.
_PARAMETER: Final = re.compile(
    rf';[ \t]*(?:({_TOKEN})=(?:"((?:[\t !#-\[\]-~]|\\[\t -~])*)"|([!#-:<-\[\]-~][ \t!#-:<-\[\]-~]*)))?[ \t]*'
)
_QUOTED: Final = r'"(?:[\t !#-\[\]-~]|\\[\t -~])*"'
_PLAIN: Final = r"[!#-:<-\[\]-~][ \t!#-:<-\[\]-~]*"
PATTERN: Final = (
    rf"^[ \t]*({_TOKEN_CHARACTER}{{1,127}}/{_TOKEN_CHARACTER}{{1,127}}[ \t]*"
    rf"(;[ \t]*({_TOKEN}=({_QUOTED}|{_PLAIN}))?[ \t]*)*)?$"
)
"""What `parse` accepts, except for the length."""
_IS_TOKEN: Final = re.compile(_TOKEN)
_RESERVED: Final = frozenset({"swift_bytes"})
"""Swift reads an object's length in listings from this parameter. It is dropped, since no client may set it."""


def parse(text: str) -> str:
    """The normal form of a media type: names in lower case, values quoted where they must be, no optional whitespace;
    of equal parameters the first counts. "" is `application/octet-stream`. Raises ValueError for anything else."""
    if len(text) > MAX_CHARACTERS:
        raise ValueError(_TOO_LONG)
    text = text.strip(" \t")
    if not text:
        return UNKNOWN
    found = _ESSENCE.match(text)
    if found is None or max(map(len, found.groups())) > _MAX_NAME_CHARACTERS:
        raise ValueError('it is not of the form type/subtype, such as "video/mp4"')
    kind, position = f"{found[1]}/{found[2]}".lower(), found.end()
    parameters: dict[str, str] = {}
    while position < len(text):
        found = _PARAMETER.match(text, position)
        if found is None:
            raise ValueError(f"its parameters are not valid from character {position + 1} on")
        position = found.end()
        name, quoted, plain = found.groups()
        if name and name.lower() not in _RESERVED:
            value = re.sub(r"\\(.)", r"\1", quoted) if plain is None else plain.rstrip(" \t")
            parameters.setdefault(name.lower(), value.replace("\t", " "))
    return kind + "".join(f";{name}={_quoted(value)}" for name, value in parameters.items())


def parse_stored(text: str) -> str:
    """The normal form of a type that a store reports, which may be anything. What is not valid is left out: bad
    parameters first, then the whole. Never raises."""
    for attempt in (text, text.partition(";")[0]):
        try:
            return parse(attempt)
        except ValueError:
            continue
    return UNKNOWN


def essence(media_type: str) -> str:
    """A media type in normal form without its parameters: `video/webm`."""
    return media_type.partition(";")[0]


def guessed_type(name: str) -> str:
    """The type that a file's name suggests. A compressed file (`a.mp4.gz`) has none of the types of its content."""
    guessed, encoding = mimetypes.guess_type(name, strict=False)
    return UNKNOWN if guessed is None or encoding else parse_stored(guessed)


def _quoted(value: str) -> str:
    if _IS_TOKEN.fullmatch(value):
        return value
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'


def _absent_is_empty(value: object) -> object:
    return "" if value is None else value


def _validated(value: str) -> str:
    try:
        return parse(value)
    except ValueError as error:
        raise PydanticCustomError(
            "media_type", "Must be a media type (RFC 9110): {reason}", {"reason": str(error)}
        ) from None


_Sent = Annotated[str, StringConstraints(max_length=MAX_CHARACTERS, pattern=PATTERN)]

MediaType = Annotated[
    str,
    BeforeValidator(_absent_is_empty, json_schema_input_type=_Sent | None),
    AfterValidator(_validated),
    Field(
        description="Media type of the file (RFC 9110), with or without parameters. Missing, null or empty: "
        "`application/octet-stream`. A type that cannot be media is refused with CONTENT_TYPE_NOT_MEDIA",
        examples=["video/mp4", "video/webm;codecs=vp9,opus"],
    ),
]
"""A field of a model that takes a content type and holds its normal form."""
