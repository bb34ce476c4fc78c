"""The statements that list contents: filters, order and position become conditions of `queries/page_contents.sql`.

Guarantee: the text of a statement consists of that file, of the tables below and of the field names of
`ContentFilters`. What a client sends is only ever an argument. Each statement can read one index in its order, in
either direction, so a page needs no sorting and none of the rows of earlier pages.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.adapters.postgres.pool import query
from pipeline.adapters.postgres.rows import page_position
from pipeline.core.errors import RequestError
from pipeline.ports.contents import ContentPosition
from schemas.content_list import MAX_ESSENCE_CHARACTERS, ContentFilters, essence

_TEMPLATE = query("page_contents")

_EXPRESSIONS: Mapping[str, str] = {
    "content_type": f"left(split_part(c.content_type, ';', 1), {MAX_ESSENCE_CHARACTERS})"
}
"""Fields that are indexed as an expression, not as the column alone."""

_OPERATORS: Mapping[str, str] = {"min_": ">=", "max_": "<="}

_TEXTS = frozenset({"kind", "content_type", "container_format", "video_codec", "audio_codec"})
_FRACTIONS = frozenset({"duration_seconds", "frame_rate"})
_LONG_INTEGERS = frozenset({"size_bytes", "bit_rate"})
_NEVER_NULL = frozenset({"kind", "content_type", "size_bytes"})

_UNIQUE = ("c.created_at", "c.id")
"""Ends every order, so that no two contents have the same position."""

Statement = tuple[str, Sequence[Any]]
"""SQL text, and its arguments from $2; $1 is the largest number of rows."""


def statements(filters: ContentFilters, sort: str, after: ContentPosition | None) -> Sequence[Statement]:
    """The rows of the first statement, then those of the second one if there is one, are the contents after `after`.

    The second one lists the contents whose sort field is null: an index has its nulls at one end, so a single statement
    could list them last in one direction only. Raises RequestError CURSOR_INVALID.
    """
    name = sort.removeprefix("-")
    descending = sort.startswith("-")
    position = None if after is None else page_position((after.created_us, after.content_id))
    if name == "created_at":
        return [_statement(filters, None, _UNIQUE, position, descending)]
    column = _column(name)
    order = (column, *_UNIQUE)
    if name not in _NEVER_NULL and after is not None and after.value is None:
        return [_statement(filters, f"{column} IS NULL", order, position, descending)]
    values = None if after is None or position is None else (_checked(name, after.value), *position)
    if name in _NEVER_NULL:
        return [_statement(filters, None, order, values, descending)]
    return [
        _statement(filters, f"{column} IS NOT NULL", order, values, descending),
        _statement(filters, f"{column} IS NULL", order, None, descending),
    ]


def conditions_of(filters: ContentFilters, argument: Callable[[Any], str]) -> list[str]:
    """A condition for each filter. `argument` takes a value and returns how the text refers to it, such as `$2`."""
    conditions = []
    for name in ContentFilters.model_fields:
        value = getattr(filters, name)
        if value is None:
            continue
        if name == "content_type":
            conditions.append(f"{_column(name)} = {argument(essence(value))}")
            if value != essence(value):
                conditions.append(f"c.content_type = {argument(value)}")
        else:
            operator = _OPERATORS.get(name[:4], "=")
            column = _column(name if operator == "=" else name[4:])
            conditions.append(f"{column} {operator} {argument(value)}")
    return conditions


def _statement(
    filters: ContentFilters, among: str | None, order: Sequence[str], after: Sequence[Any] | None, descending: bool
) -> Statement:
    """One statement. `after`: values of the last columns of `order`, whose rows come next."""
    conditions = [among] if among else []
    arguments: list[Any] = []

    def argument(value: Any) -> str:
        arguments.append(value)
        return f"${1 + len(arguments)}"

    conditions += conditions_of(filters, argument)
    if after is not None:
        columns = ", ".join(order[-len(after) :])
        values = ", ".join(argument(value) for value in after)
        conditions.append(f"({columns}) {'<' if descending else '>'} ({values})")
    text = _TEMPLATE.format(
        conditions=" AND ".join(conditions) or "true",
        order=", ".join(f"{column} {'DESC' if descending else 'ASC'}" for column in order),
    )
    return text, arguments


def _column(name: str) -> str:
    return _EXPRESSIONS.get(name, f"c.{name}")


def _checked(name: str, value: object) -> object:
    """The value of a position, which PostgreSQL can compare with the column. Raises RequestError CURSOR_INVALID."""
    if name in _TEXTS:
        fits = isinstance(value, str) and "\x00" not in value and len(value) <= MAX_ESSENCE_CHARACTERS
    elif name in _FRACTIONS:
        largest = sys.float_info.max
        fits = isinstance(value, int | float) and -largest <= value <= largest
    else:
        limit = 2**63 if name in _LONG_INTEGERS else 2**31
        fits = isinstance(value, int) and -limit <= value < limit
    if not fits or isinstance(value, bool):
        raise RequestError("CURSOR_INVALID")
    return value
