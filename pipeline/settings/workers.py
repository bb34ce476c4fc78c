"""Settings of the workers, and of logging."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class WorkerSettings(BaseModel):
    """How many stages a worker runs at once, how long each may take, and what processes log."""

    stage_lease_seconds: float = Field(
        6, gt=0, description="Another worker takes over a stage whose worker has sent no heartbeat for this long"
    )
    stage_concurrency: int = Field(
        32,
        ge=1,
        description="Jobs that one transfer, assemble or persist worker runs at once; they mostly wait for I/O",
    )
    media_concurrency: int = Field(
        2, ge=1, description="Jobs that one probe or thumbnail worker runs at once; each keeps one CPU core busy"
    )
    crash_patience_seconds: float = Field(
        86_400,
        gt=0,
        description="Outage budget of the workers: an upload fails when a stage ends unexpectedly, does not end, or "
        "cannot run its media tools for this long; one day, because the upload is not to blame",
    )
    metrics_port: int = Field(
        0, ge=0, le=65535, description="Port of a worker's /metrics and /healthz; 0: a free port, which is logged"
    )
    ffprobe: str = Field("ffprobe", description="The ffprobe executable: a path, or a name on PATH")
    ffmpeg: str = Field("ffmpeg", description="The ffmpeg executable: a path, or a name on PATH")
    probe_timeout_seconds: float = Field(60, gt=0, description="Maximum duration of one probe")
    thumbnail_timeout_seconds: float = Field(
        120, gt=0, description="Maximum duration of one thumbnail, with all its attempts"
    )
    log_format: Literal["json", "console"] = Field(
        "json", description="Log format: `json` for machines, `console` for people"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level of the events that are logged"
    )
