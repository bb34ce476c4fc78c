"""The catalogue of log events, and how they are written.

Log events are the constants of `Log`; `upload_id`, `stage`, `attempt` and `request_id` are bound to a logger, not
formatted into messages.
"""

from __future__ import annotations

import logging
import sys

from pipeline.core.printable import printable
from pipeline.imports import without
from pipeline.tracing import add_ids

with without("rich"):  # structlog would draw tracebacks with it; ours are text when they reach a renderer
    import structlog


class Log:
    """Names of log events, as `subject.what_happened`."""

    STARTED = "process.started"
    STOPPING = "process.stopping"
    AUTH_OFF = "auth.off"
    JWKS_UNREADABLE = "auth.jwks_unreadable"
    KEY_CREATED = "auth.key_created"
    KEY_REVOKED = "auth.key_revoked"
    CONNECTIONS_FULL = "connections.full"
    CONNECTIONS_REFUSED = "connections.refused"
    DESCRIPTORS_EXHAUSTED = "connections.descriptors_exhausted"
    DESCRIPTORS_FEW = "process.few_descriptors"
    ACCEPT_FAILED = "connections.accept_failed"
    REQUEST = "http.request"
    REQUEST_CRASHED = "http.crashed"
    RESPONSE_UNDOCUMENTED = "response.undocumented"
    CELL_READY = "cell.ready"
    CELL_NOT_READY = "cell.not_ready"
    DOWNLOAD_BROKEN = "download.broken"
    CELL_UNREACHABLE = "cell.unreachable"
    STORE_EXAMINED = "store.examined"
    STORE_NOT_EXAMINED = "store.examination_crashed"
    CONTENT_DELETED = "content.deleted"
    DELETION_DONE = "deletion.done"
    DELETION_DEFERRED = "deletion.deferred"
    STORE_ERROR_UNEXPECTED = "store.error_unexpected"
    TEMPURL_LIMITED = "store.tempurl_limited"
    ORPHANED_OBJECT_REMOVED = "orphaned_object.removed"
    ORPHANED_OBJECTS_DEFERRED = "orphaned_object.deferred"
    UPLOAD_CREATED = "upload.created"
    UPLOAD_ADMITTED = "upload.admitted"
    UPLOAD_LENGTH_KNOWN = "upload.length_known"
    UPLOAD_ENDED = "upload.ended"
    UPLOAD_CLEANED = "upload.cleaned"
    UPLOAD_KEPT = "upload.kept"
    CLEANUP_DEFERRED = "upload.cleanup_deferred"
    TOKEN_DELEGATED = "upload.token_delegated"  # noqa: S105  # a name
    EVENT_DEFERRED = "storage_event.deferred"
    EVENT_IGNORED = "storage_event.ignored"
    EVENTS_SUBSCRIPTION = "storage_event.subscription"
    CONTENT_TYPE_KEPT = "store.content_type_kept"
    CRC32C_UNKNOWN = "store.crc32c_unknown"
    SEGMENT_LOST = "segment.lost"
    TAIL_LOST = "upload.tail_lost"
    RELEASE_DEFERRED = "segment.release_deferred"
    STAGE_STARTED = "stage.started"
    STAGE_DONE = "stage.done"
    STAGE_RETRIED = "stage.retried"
    STAGE_RETRIED_NOW = "stage.retried_now"
    STAGE_FAILED = "stage.failed"
    STAGE_LOST = "stage.lost"
    STAGE_REQUEUED = "stage.requeued"
    STAGE_PARKED = "stage.parked"
    STAGE_TAKEN_OVER = "stage.taken_over"
    THUMBNAIL_SKIPPED = "thumbnail.skipped"
    READER_DONE = "reader.done"
    READER_FAILED = "reader.failed"
    READER_HOST_ENDED = "reader.host_ended"
    READER_UNCONFINED = "reader.unconfined"
    ORPHAN_REMOVED = "temp_file.orphan_removed"
    JOURNAL_FAILED = "journal.failed"
    UPLOAD_RECOVERED = "upload.recovered"
    RECOVERY_DEFERRED = "upload.recovery_deferred"
    RECOVERY_NEEDED = "volume.recovery_needed"
    VOLUME_CLOSED = "volume.closed"
    VOLUME_OPEN = "volume.open"
    VOLUME_TOO_SMALL = "volume.smaller_than_budget"
    DATABASE_UNEXPECTED = "database.unexpected_error"
    REDIS_UNREACHABLE = "redis.unreachable"
    ITEM_FAILED = "sweep.item_failed"
    TICK_FAILED = "admission.tick_failed"
    WEBHOOK_FACT_DAMAGED = "webhook.fact_damaged"
    WEBHOOK_DELIVERED = "webhook.delivered"
    WEBHOOK_ATTEMPT_FAILED = "webhook.attempt_failed"
    WEBHOOK_UNRECORDED = "webhook.unrecorded"
    WEBHOOK_PAUSED = "webhook.paused"
    REPLAY_STARTED = "replay.started"
    REPLAY_ENDED = "replay.ended"
    REPLAY_WAITS = "replay.waits"
    REPLAY_CONTENT_DONE = "replay.content_done"
    REPLAY_CONTENT_FAILED = "replay.content_failed"
    REPLAY_CONTENT_LOST = "replay.content_lost"


def configure_logging(log_format: str, level: str) -> None:
    """Write structured logs to standard error, one event a line. `level` is a name such as "info"."""
    renderers: list[structlog.types.Processor] = (
        [structlog.processors.JSONRenderer()] if log_format == "json" else [_printable, structlog.dev.ConsoleRenderer()]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            add_ids,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=getattr(logging, level.upper()), stream=sys.stderr, format="%(name)s %(message)s")
    logging.getLogger("arq").setLevel(logging.WARNING)  # our own events report the same, once and in more detail


def _printable(
    _logger: structlog.types.WrappedLogger, _method: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    """Escapes control characters in values: JSON escapes them, a terminal obeys them. A traceback keeps its lines."""

    def shown(name: str, value: object) -> object:
        if not isinstance(value, str):
            return value
        return "\n".join(map(printable, value.splitlines())) if name == "exception" else printable(value)

    return {name: shown(name, value) for name, value in event.items()}


def logger(**bound: object) -> structlog.typing.FilteringBoundLogger:
    """A logger that adds `bound` to every event."""
    return structlog.get_logger().bind(**bound)  # type: ignore[no-any-return]  # structlog types get_logger as Any
