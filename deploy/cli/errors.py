"""Errors between this client and a gateway.

    ClientError
    ├── ApiError            the gateway responded with an error
    ├── ServerAwayError     no response: connection refused or reset, or a timeout
    └── FileChangedError    the file changed after its upload began

Guarantee: `str(error)` is a sentence for a person and says what to do. `code` names the error for programs, and
`retryable` says whether the same request may succeed later.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from deploy.cli.advice import advice_for

_RETRYABLE_4XX: Final = frozenset({408, 429})
_FINAL_5XX: Final = frozenset({501, 505})
# Both mean that the segment was damaged on the way, so the same bytes may arrive intact.
_RETRYABLE_CODES: Final = frozenset({"SEGMENT_CUT_OFF", "SEGMENT_DIGEST_WRONG"})


class ClientError(Exception):
    """Ends a call to a gateway."""

    retryable: bool = False

    def __init__(self, message: str, *, code: str | None = None) -> None:
        """`code` is the class's name by default."""
        self.code = code or type(self).__name__
        super().__init__(message)


class ApiError(ClientError):
    """The gateway's own error. `code` is from the error catalogue, or HTTP_<status> when the server is not Sluice.

    `retry_after_seconds` is the value of the Retry-After header, if there was one.
    """

    def __init__(
        self,
        *,
        status: int,
        code: str,
        message: str,
        detail: Mapping[str, Any] | None = None,
        request_id: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.status = status
        self.message = message
        self.detail = dict(detail or {})
        self.request_id = request_id
        self.retry_after_seconds = retry_after_seconds
        self.retryable = (
            code in _RETRYABLE_CODES or status in _RETRYABLE_4XX or (status >= 500 and status not in _FINAL_5XX)
        )

    def __str__(self) -> str:
        fields = self.detail.get("fields")
        wrong = f" {fields}" if self.code == "VALIDATION_FAILED" and fields else ""
        request = f" (request {self.request_id})" if self.status >= 500 and self.request_id else ""
        return " ".join(f"{self.message}{wrong} {advice_for(self.code)}".split()) + f" [{self.code}]{request}"


class ServerAwayError(ClientError):
    """The server did not respond. The message names it."""

    retryable = True

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(f"No response from {server}: {reason}. Is Sluice running there? --server names another URL.")


class FileChangedError(ClientError):
    """The file changed while it was being sent."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} changed while it was being sent, so the upload was cancelled. Try again when nothing writes to it."
        )
