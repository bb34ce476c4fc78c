"""The hook through which a store reports its requests; the observer counts them in metrics."""

from __future__ import annotations

from typing import Protocol


class RequestObserver(Protocol):
    """Called once for each request to the store, including one that is repeated after a token was renewed."""

    def __call__(self, method: str, status: int | None, seconds: float) -> None:
        """`status` is None when no response came; `seconds` end with the response's headers. Must not block or
        raise."""


def unobserved(method: str, status: int | None, seconds: float) -> None:
    """The default: do nothing."""
