"""Errors of `sluice upload`, `sluice status` and `sluice import`.

    ClientError
    ├── ApiError                the gateway responded with an error
    ├── NotSluiceError          the response is not one of Sluice
    ├── NoResponseError         no response: connection refused or reset, TLS, or a timeout
    ├── RequestInvalidError     an option has a value that no gateway accepts
    ├── FileUnusableError       the file cannot be uploaded: missing, empty, unreadable, not a file
    └── FileChangedError        the file changed after its upload began

Guarantee: `str(error)` is a sentence for a person and says what to do. `code` names the error for programs, and
`retryable` says whether the same request may succeed later.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from deploy.cli.advice import advice_for
from deploy.cli.names import shown

_RETRYABLE_4XX: Final = frozenset({408, 423, 429, 460})
_FINAL_5XX: Final = frozenset({501, 505})
# They mean that bytes were damaged or lost on the way, so the same bytes may arrive intact.
_RETRYABLE_CODES: Final = frozenset({"SEGMENT_CUT_OFF", "SEGMENT_DIGEST_WRONG", "APPEND_CUT_OFF"})
_SHOWN_KEY: Final = 64


class ClientError(Exception):
    """Ends a call to a gateway, or an upload."""

    retryable: bool = False

    def __init__(self, message: str, *, code: str | None = None) -> None:
        """`code` is the class's name by default."""
        self.code = code or type(self).__name__
        super().__init__(message)


def may_succeed_later(status: int) -> bool:
    """Whether a request that got this HTTP status may succeed when it is repeated."""
    return status in _RETRYABLE_4XX or (status >= 500 and status not in _FINAL_5XX)


class ApiError(ClientError):
    """The gateway's own error. `code` is from the error catalogue.

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
        self.retryable = code in _RETRYABLE_CODES or may_succeed_later(status)

    def __str__(self) -> str:
        wrong = _field_messages(self.detail.get("fields")) if self.code == "VALIDATION_FAILED" else ""
        request = f" (request {self.request_id})" if self.status >= 500 and self.request_id else ""
        message = f"The server refused {wrong}." if wrong else self.message
        return " ".join(f"{message} {advice_for(self.code)}".split()) + f" [{self.code}]{request}"


class NotSluiceError(ClientError):
    """Something that is not a Sluice gateway responded. `code` is HTTP_<status>."""

    def __init__(self, server: str, status: int, what: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(
            f"{server} responded {status}, {what}. Check that --server is the URL of a Sluice gateway.",
            code=f"HTTP_{status}",
        )
        self.retry_after_seconds = retry_after_seconds
        self.retryable = may_succeed_later(status)  # a proxy in front of a gateway that is being replaced


class NoResponseError(ClientError):
    """The server did not respond. The message names it."""

    def __init__(self, server: str, reason: str, *, retryable: bool = True) -> None:
        super().__init__(f"No response from {server}: {reason}. Is Sluice running there? --server names another URL.")
        self.retryable = retryable


class RequestInvalidError(ClientError):
    """An option has a value that no gateway accepts, so no request was sent."""

    @classmethod
    def of(cls, error: ValidationError, content_type: str) -> RequestInvalidError:
        """For a `CreateUpload` that pydantic refused."""
        wrong = (_option_problem(item, content_type) for item in error.errors(include_url=False, include_input=False))
        return cls("; ".join(dict.fromkeys(wrong)) + ".")


class FileUnusableError(ClientError):
    """The file cannot be uploaded. Nothing was sent."""

    @classmethod
    def of(cls, error: OSError) -> FileUnusableError:
        """For an error of the file system."""
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return cls("The file does not exist.", code="FILE_NOT_FOUND")
        if error.errno == errno.ELOOP:
            return cls("The file is a symbolic link that leads to itself.", code="FILE_NOT_FOUND")
        reason = os.strerror(error.errno) if error.errno else str(error)
        return cls(f"The file cannot be read: {reason}.", code="FILE_UNREADABLE")


class FileChangedError(ClientError):
    """The file changed while it was being sent."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{shown(path)} changed while it was being sent, so the upload was cancelled. Try again when nothing"
            " writes to it."
        )


def _option_problem(problem: ErrorDetails, content_type: str) -> str:
    """What is wrong with one field of a `CreateUpload`, named as the option that set it."""
    field, *keys = map(str, problem["loc"])
    if field == "content_type":
        return f"--content-type {shown(content_type)} is not a media type such as video/mp4"
    if field != "metadata":
        return f"{field}: {problem['msg']}"
    name = "--metadata"
    if keys:
        name += f" {shown(keys[0][:_SHOWN_KEY])}{'…' if len(keys[0]) > _SHOWN_KEY else ''}"
    most = problem.get("ctx", {}).get("max_length")
    match problem["type"]:
        case "too_long":
            return f"{name} is given more than {most} times"
        case "string_too_long":
            return f"{name}: the {'key' if '[key]' in keys else 'value'} is longer than {most} characters"
        case "string_unicode":
            return "a key of --metadata is not valid UTF-8" if "[key]" in keys else f"{name} is not valid UTF-8"
    return f"{name}: {problem['msg']}"


def _field_messages(fields: object) -> str:
    """`detail.fields` of VALIDATION_FAILED as text; "" when it has another shape."""
    if not isinstance(fields, list):
        return ""
    named = [item for item in fields if isinstance(item, Mapping) and item.get("field")]
    return "; ".join(f"{item['field']}: {str(item.get('message', 'invalid')).rstrip('.')}" for item in named)
