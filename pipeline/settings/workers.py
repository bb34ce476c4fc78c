"""Settings of the workers, of logging and of traces."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class WorkerSettings(BaseModel):
    """How many stages a worker runs at once, how long each may take, and what processes log and trace."""

    stage_lease_seconds: float = Field(
        6, gt=0, description="Another worker takes over a stage whose worker has sent no heartbeat for this long"
    )
    stage_concurrency: int = Field(
        32,
        ge=1,
        description="Jobs that one transfer, assemble or persist worker runs at once; they mostly wait for I/O",
    )
    media_concurrency: int = Field(
        2,
        ge=1,
        description="Files that one probe or thumbnail worker reads at once, each on one CPU core. Files that take "
        "more than one CPU second have slots of their own, one less, with a lower priority",
    )
    media_confinement: Literal["required", "best-effort"] = Field(
        "required",
        description="`required`: probe and thumbnail workers refuse to start where the sandbox of the media reader "
        "does not work; `best-effort`: they log a warning and use what works, so hostile files may do more harm",
    )
    media_metadata_cpu_seconds: int = Field(
        10, ge=1, description="CPU seconds that reading the metadata of a file may take; then the upload fails"
    )
    media_frame_cpu_seconds: int = Field(
        30, ge=1, description="CPU seconds that a thumbnail may take; then the content has none"
    )
    media_memory_bytes: int = Field(
        2 * 1024**3,
        ge=512 * 1024**2,
        description="Address space of the process that reads one file, of which the program itself takes 300 MB",
    )
    crash_patience_seconds: float = Field(
        86_400,
        gt=0,
        description="Outage budget of the workers: an upload fails when a stage ends unexpectedly, does not end, or "
        "cannot run its media reader for this long; one day, because the upload is not to blame",
    )
    metrics_port: int = Field(
        0, ge=0, le=65535, description="Port of a worker's /metrics and /healthz; 0: a free port, which is logged"
    )
    log_format: Literal["json", "console"] = Field(
        "json", description="Log format: `json` for machines, `console` for people"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level of the events that are logged"
    )
    traces: Literal["off", "otlp"] = Field(
        "off",
        description="`otlp`: gateways and workers send a trace of each upload to an OpenTelemetry collector, which "
        "OTEL_EXPORTER_OTLP_ENDPOINT names; needs `sluice[otel]`",
    )
