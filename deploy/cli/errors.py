"""What can go wrong between this client and a gateway.

    ClientError
    ├── ApiError       the gateway answered with an error
    ├── ServerAwayError     no answer: refused, reset, timed out
    └── FileChangedError    the file is not what it was when its upload began

Guarantee: `str(error)` is a sentence for a person, with what to do about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.cli.advice import advice_for


class ClientError(Exception):
    """Something that ends a call to a gateway."""


class ApiError(ClientError):
    """The gateway's own error. `code` is of the error catalogue, or HTTP_<status> when what answered was not Sluice.

    `retry_after_seconds` is what the Retry-After header asked for, if it did.
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
        self.status = status
        self.code = code
        self.message = message
        self.detail = dict(detail or {})
        self.request_id = request_id
        self.retry_after_seconds = retry_after_seconds
        super().__init__(message)

    def __str__(self) -> str:
        fields = self.detail.get("fields")
        wrong = f" {fields}" if self.code == "VALIDATION_FAILED" and fields else ""
        request = f" (request {self.request_id})" if self.status >= 500 and self.request_id else ""
        return " ".join(f"{self.message}{wrong} {advice_for(self.code)}".split()) + f" [{self.code}]{request}"


class ServerAwayError(ClientError):
    """Nothing answered. The message names the server."""

    def __init__(self, server: str, reason: str) -> None:
        self.reason = reason
        super().__init__(f"No answer from {server}: {reason}. Is it running there? --server names another one.")


class FileChangedError(ClientError):
    """The file was written to while it was being sent."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} changed while it was being sent; the upload was cancelled. Try again once it is at rest."
        )
