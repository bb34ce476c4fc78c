"""The hook by which a store tells of its requests: metrics are counted elsewhere."""

from __future__ import annotations

from typing import Protocol


class RequestObserver(Protocol):
    """Called once for each request to the store, also for those that are repeated after a token's renewal."""

    def __call__(self, method: str, status: int | None, seconds: float) -> None:
        """`status` is None when no answer came; `seconds` run to the answer's headers. Must not block or raise."""


def unobserved(method: str, status: int | None, seconds: float) -> None:
    """The default: nobody listens."""
