"""Conditional requests (RFC 9110 section 13) and the validators that they compare (section 8.8). Pure functions.

Guarantee: the conditions of GET and HEAD are evaluated in the order of section 13.2.2. A condition that section 13.1
says to ignore (a date that is not a date, a date beside an entity tag) is ignored; a list of entity tags that cannot be
parsed matches nothing. ETags are strong: an object never changes, since its name is never used again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from urllib.parse import quote

from multidict import CIMultiDictProxy

from pipeline.core.errors import RequestError

Headers = CIMultiDictProxy[str]

_OPAQUE = r'"[^\x00-\x20"\x7f]*"'  # section 8.8.3
_LIST = re.compile(rf"[ \t,]*(?:(?:W/)?{_OPAQUE}[ \t]*(?:,[ \t,]*|$))*")
_TAG = re.compile(rf"(?:W/)?{_OPAQUE}")
_CLOCK = r"[0-9]{2}:[0-9]{2}:[0-9]{2}"
# The three forms of section 5.6.7; the standard library parses more.
_DATE = re.compile(
    rf"[A-Z][a-z]{{2}}, [0-9]{{2}} [A-Z][a-z]{{2}} [0-9]{{4}} {_CLOCK} GMT"
    rf"|[A-Z][a-z]{{5,8}}, [0-9]{{2}}-[A-Z][a-z]{{2}}-[0-9]{{2}} {_CLOCK} GMT"
    rf"|[A-Z][a-z]{{2}} [A-Z][a-z]{{2}} [ 0-9][0-9] {_CLOCK} [0-9]{{4}}"
)


@dataclass(frozen=True, slots=True)
class Validators:
    """`etag` as it is sent, quoted; `modified` in whole seconds, UTC."""

    etag: str
    modified: datetime

    @classmethod
    def of(cls, digest: str, modified: datetime, now: datetime) -> Validators:
        """`digest` is the store's own etag, unquoted. The date is never in the future (section 8.8.2.1)."""
        tag = re.sub(r"[^\x21\x23-\x7e]", lambda found: quote(found[0], safe=""), digest)
        return cls(f'"{tag}"', min(modified, now).astimezone(UTC).replace(microsecond=0))

    @property
    def last_modified(self) -> str:
        """The header's value."""
        return format_datetime(self.modified, usegmt=True)


def is_not_modified(headers: Headers, current: Validators, *, dates: bool = True) -> bool:
    """Evaluate the conditions of a GET or HEAD; True: 304. Without `dates`, those that name a date hold. Raises
    RequestError PRECONDITION_FAILED (412)."""
    if "If-Match" in headers:
        if not _lists(headers, "If-Match", current.etag, weak=False):
            raise RequestError("PRECONDITION_FAILED", condition="If-Match", etag=current.etag)
    elif dates and (date := _date(headers, "If-Unmodified-Since")) is not None and current.modified > date:
        raise RequestError("PRECONDITION_FAILED", condition="If-Unmodified-Since", etag=current.etag)
    if "If-None-Match" in headers:
        return _lists(headers, "If-None-Match", current.etag, weak=True)
    date = _date(headers, "If-Modified-Since") if dates else None
    return date is not None and current.modified <= date


def range_applies(headers: Headers, current: Validators) -> bool:
    """Whether If-Range, if there is one, is exactly the current ETag or date (section 13.1.5)."""
    if "If-Range" not in headers:
        return True
    sent = headers.getall("If-Range")
    return sent == [current.etag] or _date(headers, "If-Range") == current.modified


def _lists(headers: Headers, name: str, etag: str, *, weak: bool) -> bool:
    """Whether the header is `*` or lists `etag`, by weak or strong comparison (section 8.8.3.2)."""
    value = ", ".join(headers.getall(name)).strip(" \t")
    if value == "*":
        return True
    if not _LIST.fullmatch(value):
        return False
    return any((tag.removeprefix("W/") if weak else tag) == etag for tag in _TAG.findall(value))


def _date(headers: Headers, name: str) -> datetime | None:
    """The date in a header that occurs once and is a valid date."""
    sent = headers.getall(name, [])
    if len(sent) != 1 or not _DATE.fullmatch(sent[0]):
        return None
    try:
        return parsedate_to_datetime(sent[0]).replace(tzinfo=UTC)
    except ValueError:
        return None
