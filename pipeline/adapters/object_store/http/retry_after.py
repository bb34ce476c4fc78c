"""Retry-After, RFC 9110 section 10.2.3: a number of seconds or an HTTP-date."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# A store that asks for a longer pause is unavailable, not busy: the caller's retry policy decides then, not a header.
LONGEST_SECONDS = 3600.0


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """How long the store asks to wait, 0 to 3,600 s; None when the header is missing or cannot be read.

    A date is compared with the response's own `Date`, so that clocks may differ.
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
