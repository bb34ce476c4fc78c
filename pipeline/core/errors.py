"""Every failure that Sluice can report, as one tree of exceptions.

    SluiceError
    ├── RequestError        the client can correct it (4xx)
    │   └── AccessError         the caller is not known, or may not do this (401, 403)
    ├── OtherCell           another cell of the installation serves the request (307)
    ├── LimitReached        a limit of an owner or of the service is reached; worth retrying later (429)
    ├── UploadEnded         the upload has ended: failed, expired, cancelled or ready
    ├── MediaError          the file itself is at fault; retrying cannot help
    ├── StoreError          the object store refused the request or failed
    │   ├── StoreUnavailable    worth retrying (5xx, 429, timeouts, resets, responses that cannot be read)
    │   │   └── DigestRefused       the bytes that the store received do not have the digest that was sent with them
    │   ├── StoreUnsupported    the store does not have this operation and never will (501, 405, 505)
    │   └── SegmentCorrupt      bytes differ from their digest; that segment must be sent again
    ├── DependencyUnavailable   Redis, PostgreSQL or the cache is unavailable; worth retrying
    ├── DatabaseRejected    PostgreSQL refused a value that it was sent
    ├── TempVolumeError     the temp volume is full or broken, or a temp file is missing
    └── StageLost           a worker lost its lease; another worker runs the stage

Guarantee: an error that leaves a port is a `SluiceError` whose `code` is a key of the catalogue
(`pipeline.core.error_codes`).
"""

from __future__ import annotations

from typing import Any, Final

from pipeline.core.error_codes import CATALOGUE

TEMPORARY_REDIRECT: Final = 307
"""The status of OtherCell: the same method and body, at another URL (RFC 9110 section 15.4.8)."""


class SluiceError(Exception):
    """An error with a code of the catalogue. `detail` holds JSON-serialisable facts: they fill in the message and are
    sent to the client. Raises KeyError for a code that is not in the catalogue."""

    def __init__(self, code: str, /, **detail: Any) -> None:
        self.spec = CATALOGUE[code]
        self.code = code
        self.detail = detail
        super().__init__(self.spec.message.format_map(_Blank(detail)))

    @property
    def message(self) -> str:
        return str(self)

    @property
    def http_status(self) -> int:
        return self.spec.http_status

    @property
    def retryable(self) -> bool:
        return self.spec.retryable

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.code, self.detail))


class RequestError(SluiceError):
    """The client sent a request that it can correct."""


class AccessError(RequestError):
    """The caller is not known, or may not do this."""


class OtherCell(SluiceError):
    """Another cell serves the request: the client repeats it at the URL `location`, which is not part of the detail,
    because it may contain a token."""

    def __init__(self, code: str, /, *, location: str, **detail: Any) -> None:
        super().__init__(code, **detail)
        self.location = location

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.code, {**self.detail, "location": self.location}))


class LimitReached(SluiceError):
    """The owner, or all owners together, have as much as they may, or ask too often. The same request may succeed
    later: it is no fault of the request."""


class UploadEnded(SluiceError):
    """The upload has ended and accepts no more requests."""


class MediaError(SluiceError):
    """The file is not readable media, or not the file that was announced."""


class StoreError(SluiceError):
    """The object store refused the request or failed."""


class StoreUnavailable(StoreError):
    """The object store may succeed later. `retry_after_seconds` is the wait that the store asked for, if it did."""

    def __init__(
        self, code: str = "STORE_UNAVAILABLE", /, *, retry_after_seconds: float | None = None, **detail: Any
    ) -> None:
        super().__init__(code, **detail)
        self.retry_after_seconds = retry_after_seconds

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.code, {**self.detail, "retry_after_seconds": self.retry_after_seconds}))


class DigestRefused(StoreUnavailable):
    """The store has received other bytes than those whose digest was sent with them. They were changed on the way, or
    the digest, which may be a client's, is wrong."""


class StoreUnsupported(StoreError):
    """The object store does not implement a request (STORE_REJECTED): repeating it cannot help, another way may."""

    def __init__(self, code: str = "STORE_REJECTED", /, **detail: Any) -> None:
        super().__init__(code, **detail)


class SegmentCorrupt(StoreError):
    """The bytes of segment `number` differ from the digest taken when they arrived."""

    def __init__(self, number: int) -> None:
        super().__init__("SEGMENT_CORRUPT", number=number)
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return (SegmentCorrupt, (self.number,))


class DependencyUnavailable(SluiceError):
    """Redis, PostgreSQL or the cache in front of the store is unavailable."""


class DatabaseRejected(SluiceError):
    """PostgreSQL refused a value that Sluice accepted from a client or found in a file."""


class TempVolumeError(SluiceError):
    """The temp volume is full or broken, or a temp file is missing."""


class StageLost(SluiceError):
    """The caller no longer holds the lease of its stage, or the upload has ended; it must stop and write nothing."""


KEEPS_STORED = frozenset({"STAGE_CRASHED", "STAGE_TIMEOUT", "DATABASE_REJECTED", "OBJECT_DIGEST_WRONG"})
"""Codes of uploads that failed for an unexpected reason. It may not be the upload's fault, so what is in the object
store is kept for an operator."""


class _Blank(dict[str, Any]):
    """Leaves the placeholder of a missing fact in the message, so that a KeyError does not hide the error itself."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


def _rebuild(kind: type[SluiceError], code: str, detail: dict[str, Any]) -> SluiceError:
    return kind(code, **detail)
