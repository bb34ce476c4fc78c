"""Retry-After, RFC 9110 section 10.2.3: a number of seconds or an HTTP-date."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# A store that asks for more than this is away, not busy: the caller's own retry policy should decide, not a header.
LONGEST_SECONDS = 3600.0


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """How long the store asks to wait, 0 to 3,600 s; None when it does not say, or not so that it can be read.

    A date is taken against the answer's own `Date`, so that clocks which differ do no harm.
    """
    value = headers.get("Retry-After", "").strip()
    if not value:
        return None
    if value.isdecimal():
        return min(float(value), LONGEST_SECONDS)
    until = _date(value)
    if until is None:
        return None
    now = _date(headers.get("Date", "")) or datetime.now(UTC)
    return min(max((until - now).total_seconds(), 0.0), LONGEST_SECONDS)


def _date(value: str) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)
