"""Times in queries."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _date_first(value: Any) -> Any:
    """Refuses a bare number, which pydantic takes for seconds since 1970."""
    if isinstance(value, str) and not _DATE.match(value):
        raise PydanticCustomError("time", "Input should be an RFC 3339 time such as 2026-01-31T12:00:00Z")
    return value


def _utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except OverflowError:
        raise PydanticCustomError("time", "Input should be a time in the years 1 to 9999 of UTC") from None


UtcTime = Annotated[datetime, BeforeValidator(_date_first), AfterValidator(_utc)]
"""An RFC 3339 time, in UTC; without a zone it is one of UTC. A bare number is refused."""
