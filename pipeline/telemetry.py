"""The catalogue of metrics.

Guarantee: every metric that Sluice exports is declared here, with its unit in its name. docs/reference/metrics.md
lists all of them; a test compares the two.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY: Final = CollectorRegistry(auto_describe=True)

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)

# The gateway
HTTP_REQUESTS = Counter("sluice_http_requests", "HTTP requests", ["route", "method", "status"], registry=REGISTRY)
HTTP_SECONDS = Histogram(
    "sluice_http_request_seconds",
    "Time to handle a request; streaming routes are not measured",
    ["route"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
REFUSALS = Counter(
    "sluice_refusals", "Requests that a limit has refused (429), by error code", ["code"], registry=REGISTRY
)
CONNECTIONS = Gauge("sluice_connections", "Open connections of clients", registry=REGISTRY)
CONNECTIONS_CLOSED = Counter(
    "sluice_connections_closed",
    "Connections closed or refused so that others can be served. `idle`, `address_idle`, `descriptors`: idle longest "
    "when the limit, that of its address, or that of open files was reached; `address`: refused; `head`: no complete "
    "request head in time, or one that is too long; `stalled`: its client does not read",
    ["reason"],
    registry=REGISTRY,
)
RECEIVED_BYTES = Counter("sluice_received_bytes", "Segment bytes written to the temp volume", registry=REGISTRY)
SEGMENTS_RECEIVED = Counter("sluice_segments_received", "Segments received, by result", ["result"], registry=REGISTRY)
APPENDS = Counter("sluice_appends", "Requests that append bytes (tus), by result", ["result"], registry=REGISTRY)
BUFFERED_BYTES = Gauge("sluice_receive_buffered_bytes", "Segment bytes currently buffered in memory", registry=REGISTRY)
RECEIVING = Gauge("sluice_receiving_segments", "Segment bodies currently being received", registry=REGISTRY)
SENT_BYTES = Counter("sluice_sent_bytes", "Bytes of downloads streamed through the gateway", registry=REGISTRY)
DOWNLOADS = Gauge("sluice_downloads", "Downloads currently streamed through the gateway", registry=REGISTRY)
EVENT_STREAMS = Gauge("sluice_event_streams", "Currently open server-sent event streams", registry=REGISTRY)
VOLUME_ERRORS = Counter(
    "sluice_temp_volume_errors", "Failed operations on the temp volume", ["code"], registry=REGISTRY
)
VOLUME_CLOSED = Gauge(
    "sluice_volume_closed",
    "1 while nothing is admitted because the disk is full or failing, else 0",
    ["volume"],
    registry=REGISTRY,
)

# Stages
STAGE_SECONDS = Histogram(
    "sluice_stage_seconds",
    "Duration of one attempt of a stage",
    ["stage", "result"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
STAGE_RETRIES = Counter(
    "sluice_stage_retries", "Failed attempts that will be retried", ["stage", "code"], registry=REGISTRY
)
STAGE_RUNNING = Gauge("sluice_stage_running", "Stages currently running in this process", ["stage"], registry=REGISTRY)
STAGE_WAIT_SECONDS = Histogram(
    "sluice_stage_wait_seconds",
    "Time from queueing a stage to starting it",
    ["stage"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
TAKEOVERS = Counter(
    "sluice_stage_takeovers", "Stages taken over from a worker whose heartbeats stopped", ["stage"], registry=REGISTRY
)
UPLOADS_ENDED = Counter(
    "sluice_uploads_ended", "Uploads that this process ended", ["status", "code"], registry=REGISTRY
)
READER_SECONDS = Histogram(
    "sluice_reader_seconds",
    "Duration of one sandboxed reading of a file, from when it has a slot, by lane and outcome",
    ["lane", "outcome"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
READER_CPU_SECONDS = Counter(
    "sluice_reader_cpu_seconds", "CPU time of the sandboxed processes", ["lane"], registry=REGISTRY
)
READER_BYTES = Counter("sluice_reader_bytes", "Bytes of files that sandboxed readings requested", registry=REGISTRY)
READER_RANGES = Counter("sluice_reader_ranges", "Ranges in which those bytes were requested", registry=REGISTRY)

# The object store
STORE_REQUEST_SECONDS = Histogram(
    "sluice_store_request_seconds",
    "Duration of requests to the object store",
    ["method", "status"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
STORED_BYTES = Counter("sluice_stored_bytes", "Segment bytes acknowledged by the store", registry=REGISTRY)
RELEASED_BYTES = Counter(
    "sluice_released_bytes", "Segment bytes that left the temp volume before their upload ended", registry=REGISTRY
)
LIMITER_SLOTS = Gauge("sluice_limiter_slots", "Segments that may be sent to the store at once", registry=REGISTRY)
LIMITER_USED = Gauge("sluice_limiter_used", "Segments currently being sent to the store", registry=REGISTRY)
LIMITER_DEMAND = Gauge("sluice_limiter_demand", "Segments waiting for a slot", registry=REGISTRY)

# The state of the whole system, read from Redis for each scrape
UPLOADS = Gauge("sluice_uploads", "Uploads by status", ["status"], registry=REGISTRY)
OLDEST_SECONDS = Gauge(
    "sluice_oldest_upload_seconds", "How long the oldest upload has had this status", ["status"], registry=REGISTRY
)
QUEUE_DEPTH = Gauge(
    "sluice_queue_depth",
    "Jobs that wait in a queue; a worker that starts a job removes it. `type` is the worker type; `volume` is empty "
    "where one queue serves all volumes",
    ["queue", "type", "volume"],
    registry=REGISTRY,
)
QUEUE_AGE_SECONDS = Gauge(
    "sluice_queue_age_seconds",
    "How long the oldest job of a queue is overdue",
    ["queue", "type", "volume"],
    registry=REGISTRY,
)
WORKERS = Gauge(
    "sluice_workers",
    "Running worker processes of a type; `volume` is empty where they serve all volumes",
    ["type", "volume"],
    registry=REGISTRY,
)
REDIS_AVAILABLE = Gauge(
    "sluice_redis_available",
    "1 if the state of the whole system was read from Redis for this scrape, else 0; its gauges are then out of date",
    registry=REGISTRY,
)
VOLUME_BUDGET = Gauge("sluice_volume_budget_bytes", "Budget of a temp volume", ["volume"], registry=REGISTRY)
VOLUME_RESERVED = Gauge(
    "sluice_volume_reserved_bytes", "Bytes reserved on a temp volume", ["volume"], registry=REGISTRY
)
VOLUME_FREE = Gauge("sluice_volume_free_bytes", "Free bytes on a temp volume's disk", ["volume"], registry=REGISTRY)
VOLUME_RESERVATIONS = Gauge(
    "sluice_volume_reservations", "Reservations on a temp volume", ["volume"], registry=REGISTRY
)
VOLUME_WAITING = Gauge(
    "sluice_volume_waiting", "Uploads waiting for room on a temp volume", ["volume"], registry=REGISTRY
)
VOLUME_DRAINING = Gauge(
    "sluice_volume_draining",
    "1 while a temp volume is drained and takes no new uploads, else 0",
    ["volume"],
    registry=REGISTRY,
)
ADMISSION_AGE_SECONDS = Gauge(
    "sluice_volume_admission_age_seconds", "Time since admission ran on a temp volume", ["volume"], registry=REGISTRY
)

# The other cells, as a gateway finds them
CELL_READY = Gauge(
    "sluice_cell_ready", "1 while another cell is ready, as this gateway finds it, else 0", ["cell"], registry=REGISTRY
)
CELL_ROOM = Gauge(
    "sluice_cell_room_bytes",
    "What a new upload could have in another cell at once; 0 while it is not ready, is drained, or uploads wait there",
    ["cell"],
    registry=REGISTRY,
)

# Counted in PostgreSQL by admission workers, 0 in other processes
PENDING_DELETIONS = Gauge(
    "sluice_pending_deletions",
    "Deleted contents of which something is left to remove; at most 100,000",
    registry=REGISTRY,
)
OLDEST_DELETION_SECONDS = Gauge(
    "sluice_oldest_pending_deletion_seconds", "How long ago the oldest of them was deleted", registry=REGISTRY
)

# Webhooks
WEBHOOK_ATTEMPTS = Counter(
    "sluice_webhook_attempts", "Attempts to deliver an event, by result", ["result"], registry=REGISTRY
)
WEBHOOK_SECONDS = Histogram(
    "sluice_webhook_seconds", "Duration of one attempt to deliver an event", buckets=_SECONDS, registry=REGISTRY
)
WEBHOOK_NEWS = Gauge(
    "sluice_webhook_news", "Facts in Redis that no notify worker has copied yet", ["volume"], registry=REGISTRY
)
WEBHOOKS_HELD = Gauge(
    "sluice_webhook_held", "Events in PostgreSQL that are not given to webhooks yet", registry=REGISTRY
)
WEBHOOKS_PENDING = Gauge("sluice_webhook_pending", "Deliveries that wait, up to 10,000", registry=REGISTRY)
WEBHOOKS_OLDEST_SECONDS = Gauge(
    "sluice_webhook_oldest_seconds", "Age of the oldest delivery that waits for a webhook in use", registry=REGISTRY
)
WEBHOOKS_FAILING = Gauge("sluice_webhooks_failing", "Webhooks whose last attempt failed", registry=REGISTRY)
WEBHOOKS_PAUSED = Gauge("sluice_webhooks_paused", "Webhooks that are paused", registry=REGISTRY)
