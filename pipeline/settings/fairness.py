"""Settings of fair shares: limits of one owner, and of all owners together."""

from __future__ import annotations

from pydantic import BaseModel, Field

_TEBIBYTE = 1024**4


class FairnessSettings(BaseModel):
    """Limits of owners apply only with authentication; without it, everybody is one owner."""

    owner_share: float = Field(
        0.75,
        gt=0,
        le=1,
        description="Fraction of the temp volume's budget that the uploads of one owner may reserve together, so that "
        "there is room for others. An owner without a reservation may have one upload admitted that is larger",
    )
    owner_uploads: int = Field(
        1_000,
        ge=1,
        description="Uploads of one owner that may be in flight; further ones wait, direct uploads and imports "
        "get 429 OWNER_LIMIT",
    )
    owner_waiting: int = Field(
        1_000, ge=1, description="Uploads of one owner that may wait for room; further ones get 429 OWNER_LIMIT"
    )
    owner_bytes: int = Field(
        10 * _TEBIBYTE,
        ge=1,
        le=2**53 - 1,
        description="Bytes of the files of one owner's uploads that wait or are in flight; further ones get 429 "
        "OWNER_LIMIT",
    )
    owner_bytes_per_day: int = Field(
        0,
        ge=0,
        le=2**53 - 1,
        description="Bytes of the files that one owner may upload per day (UTC); further ones get 429 "
        "DAILY_LIMIT. Bytes that were not received of an upload that ended early do not count. 0: no limit",
    )
    owner_creations_per_second: float = Field(
        50,
        gt=0,
        description="Uploads, imports and permits that one owner may create per second, each counted separately; four "
        "times as many uploads or permits at once. Further ones get 429 RATE_LIMITED",
    )
    owner_requests_per_second: float = Field(
        500,
        gt=0,
        description="Requests of one owner that one gateway serves per second, and twice as many at once; further ones "
        "get 429 RATE_LIMITED. Also segments whose URLs it signs or that it looks up in the store, 20 times as many at "
        "once",
    )
    queue_uploads: int = Field(
        10_000,
        ge=1,
        description="Uploads of all owners that may wait for room, which bounds the memory that Redis needs; further "
        "ones get 429 QUEUE_FULL. New direct uploads and imports get it too while this many uploads are granted, or "
        "processed",
    )
    retention_empty_seconds: float = Field(
        300,
        gt=0,
        description="How long the status of an upload that ended without having received a byte remains readable, and "
        "its Idempotency-Key is known; no longer than SLUICE_RETENTION_SECONDS. Also of an upload that became no "
        "content, where its owner has more than 10,000 readable uploads",
    )
