"""A row of the error catalogue (`error_codes.py`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorSpec:
    """One row of the catalogue. `message` is a `str.format` template, filled in from the error's detail."""

    http_status: int
    retryable: bool
    message: str
