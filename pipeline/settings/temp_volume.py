"""Settings of the temp volume and of admission to it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, field_validator

from pipeline.core.segments import DEFAULT_SEGMENT_BYTES, MEBIBYTE

_GIBIBYTE = 1024 * MEBIBYTE


class TempVolumeSettings(BaseModel):
    """One temp volume: its disk, its budget, and how long uploads may occupy it."""

    temp_dir: Path = Field(
        Path("/var/lib/sluice/temp"), description="Directory of the temp files; the mount point of the temp volume"
    )
    volume: str = Field(
        "local", pattern=r"^[a-z0-9-]+$", description="Name of the temp volume; also names the queues of its cell"
    )
    temp_budget_bytes: int = Field(
        20 * _GIBIBYTE, ge=1, description="Bytes that all uploads together may reserve on the temp volume"
    )
    temp_share: float = Field(
        0.25,
        gt=0,
        le=1,
        description="Fraction of the temp volume that one file may reserve; a larger file passes through a window of "
        "this size. 1: every file that fits is held whole",
    )
    temp_headroom_bytes: int = Field(
        256 * MEBIBYTE,
        ge=0,
        description="Free bytes on the disk that are never reserved for uploads; logs need them, and the journals of "
        "direct uploads and imports, which may take up to half of them",
    )
    durability: Literal["page-cache", "fsync"] = Field(
        "page-cache",
        description="What an acknowledged segment survives: `page-cache` the death of any process, `fsync` a power "
        "failure too",
    )
    disk_patience_seconds: float = Field(
        600,
        gt=0,
        description="Outage budget of the temp volume: an upload fails when its stages cannot use the disk for this "
        "long",
    )
    segment_bytes: int = Field(
        DEFAULT_SEGMENT_BYTES,
        ge=1024,
        description="Segment length, larger only if the store's segment limit requires it; 10 MiB is short enough to "
        "resend and keeps segment lists short",
    )
    lease_seconds: float = Field(
        900,
        gt=0,
        description="An admitted upload expires when for this long no segment arrives, nor is refused because earlier "
        "ones are not stored yet. Until the first segment has arrived, SLUICE_FIRST_SEGMENT_SECONDS applies",
    )
    first_segment_seconds: float = Field(
        60,
        gt=0,
        description="An admitted upload expires when its first segment makes no progress for this long, so that "
        "a client that sends nothing does not occupy room; at most SLUICE_LEASE_SECONDS",
    )
    upload_deadline_seconds: float = Field(
        86_400,
        gt=0,
        description="An upload expires unless every byte has arrived this long after its admission (direct "
        "uploads: after their first URLs), however often segments arrive; so does a partial upload (tus) that no "
        "final upload has named this long after it was stored",
    )
    waiting_seconds: float = Field(
        86_400, gt=0, description="An upload expires when it has waited this long for room on the temp volume"
    )
    max_passes: int = Field(
        16, ge=0, description="How many smaller uploads may overtake the head of the queue while it does not fit"
    )
    lookahead: int = Field(
        64, ge=1, description="How many uploads of the queue one admission run considers, from the head on"
    )
    direct_seconds: float = Field(
        86_400,
        gt=0,
        description="A direct upload expires when its client neither completes it nor requests URLs for this long",
    )
    upload_grant_seconds: int = Field(
        3600, ge=1, le=86_400, description="How long a URL for sending a segment to the store is valid"
    )
    retention_seconds: float = Field(
        86_400, gt=0, description="How long the status of an ended upload remains readable"
    )

    @field_validator("temp_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.absolute()
