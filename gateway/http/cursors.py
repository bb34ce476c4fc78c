"""Cursors: where the next page of a list begins.

Guarantee: `decode` accepts every cursor that `encode` made for the same query and refuses anything else with
CURSOR_INVALID: with other filters or another order, the position would silently skip or repeat items. Cursors are
opaque, so that clients do not build their own and the order of a list can change without breaking clients.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from pipeline.core.errors import RequestError

_LATEST = 253_402_300_799_999_999  # the end of the year 9999 in microseconds: Python's datetime ends there

Value = int | float | str | None


@dataclass(frozen=True, slots=True)
class Position:
    """The last item of a page: its creation time, in the unit of its list, its id, and its value of the sort field, if
    the list is sorted by another field than the creation time."""

    moment: int
    name: str
    value: Value = None

    @property
    def pair(self) -> tuple[int, str]:
        return self.moment, self.name


_PAYLOAD = TypeAdapter(
    tuple[
        str,
        Annotated[int, Field(ge=0, le=_LATEST)],
        Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{1,64}\z")],
        Annotated[float, Field(allow_inf_nan=False)] | int | str | None,
    ]
)


def query_digest(query: BaseModel) -> str:
    """Identifies a list, its filters and its order, so everything of a query except the page, and the cell, since a
    position is one in the list of every cell."""
    fields = query.model_dump(mode="json", exclude={"limit", "cursor", "cell"}, exclude_defaults=True)
    text = json.dumps([type(query).__name__, fields], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def encode(position: Position, digest: str) -> str:
    """`digest`: of the query whose page ends at `position`."""
    payload: list[Any] = [digest, position.moment, position.name, position.value]
    text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str, digest: str) -> Position:
    """Raises RequestError CURSOR_INVALID, also if the cursor was made for a query with another digest."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        made_for, moment, name, value = _PAYLOAD.validate_json(text, strict=True)
    except (binascii.Error, ValidationError, ValueError):
        raise RequestError("CURSOR_INVALID") from None
    if made_for != digest:
        raise RequestError("CURSOR_INVALID")
    return Position(moment, name, value)
