"""Whole numbers in JSON bodies."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BeforeValidator


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE: Final = BeforeValidator(_whole)
"""With `strict=True`, a field takes integers as JSON Schema defines them: 792 and 792.0, and neither "792" nor true. It
comes after the bounds of the field, which are missing in the schema otherwise."""
