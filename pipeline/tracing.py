"""Traces in OpenTelemetry's form: the one place that knows its library.

Guarantee: outside of `exporting`, nothing of OpenTelemetry is imported, and each function here returns after one
comparison. With it, spans are exported by a thread of their own from a bounded queue: a collector that is slow or
unavailable delays and fails nothing, and loses spans. What a client sends as `traceparent` is parsed by the library;
what is not valid counts as not sent (W3C Trace Context, section 4.3).

The trace of an upload begins with the request that creates it: `current_traceparent` is stored with the upload, and
each later span of the upload names it as its parent. So a trace needs no process that holds it open.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import Span, SpanContext, SpanKind

FLUSH_SECONDS: Final = 1.0
"""How long the end of a process waits for spans that are not exported yet."""

_UPLOAD_ID: Final = "sluice.upload_id"

Attributes = Mapping[str, str | int | float | bool]
Work = AbstractContextManager[None]
"""What a span measures."""


class TracesError(Exception):
    """Traces are switched on and cannot be exported. The message says what to install or to set."""


class RequestSpan:
    """The span of a request that the gateway serves. It is active until `end`, which the same task calls."""

    def __init__(self, span: Span) -> None:
        from opentelemetry import context, trace

        self._span = span
        self._detach = context.detach
        self._token = context.attach(trace.set_span_in_context(span))

    def end(self, status: int | None, code: str | None, *, kept: bool) -> None:
        """`status`: of the response; None: there is none. `code`: of the error in it. A span that is not `kept` is not
        exported."""
        self._detach(self._token)
        if kept:
            if status is not None:
                self._span.set_attribute("http.response.status_code", status)
            _record_error(self._span, code, failed=status is None or status >= 500)
            self._span.end()


class _Tracer:
    """What exists while traces are on."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import trace
        from opentelemetry.context import Context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("sluice")
        self._propagator = TraceContextTextMapPropagator()
        self._trace = trace
        self._empty = Context()

    def current(self) -> SpanContext | None:
        found = self._trace.get_current_span().get_span_context()
        return found if found.is_valid else None

    def current_traceparent(self) -> str | None:
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get("traceparent")

    def parsed(self, traceparent: str | None) -> SpanContext | None:
        if not traceparent:
            return None
        extracted = self._propagator.extract({"traceparent": traceparent}, self._empty)
        found = self._trace.get_current_span(extracted).get_span_context()
        return found if found.is_valid else None

    def started(self, name: str, parents: tuple[str | None, ...], kind: SpanKind, attributes: Attributes) -> Span:
        """A span below the last of `parents` that is of the trace of the first. The first valid one decides the trace;
        one of another trace becomes a link. Without any, the span begins a trace."""
        valid = [found for found in map(self.parsed, parents) if found is not None]
        of_trace = [found for found in valid if found.trace_id == valid[0].trace_id]
        others = [self._trace.Link(found) for found in valid if found.trace_id != valid[0].trace_id]
        above = self._empty
        if of_trace:
            above = self._trace.set_span_in_context(self._trace.NonRecordingSpan(of_trace[-1]), above)
        return self._tracer.start_span(name, above, kind, attributes, links=others)

    def request(self, name: str, upload: str | None, client: str | None, attributes: Attributes) -> RequestSpan:
        return RequestSpan(self.started(name, (upload, client), self._trace.SpanKind.SERVER, attributes))

    @contextmanager
    def work(self, name: str, kind: str, upload: str | None, attributes: Attributes) -> Iterator[None]:
        span = self.started(name, (upload,), self._trace.SpanKind[kind], attributes)
        with self._trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            yield

    def store_request(self, method: str, status: int | None, seconds: float) -> None:
        if self.current() is None:
            return
        ended_ns = time.time_ns()
        span = self._tracer.start_span(
            f"store {method}",
            kind=self._trace.SpanKind.CLIENT,
            attributes={"http.request.method": method},
            start_time=ended_ns - int(seconds * 1e9),
        )
        _record_response(span, status, failed=status is None or status >= 400)
        span.end(ended_ns)

    def note_response(self, status: int | None, *, failed: bool) -> None:
        _record_response(self._trace.get_current_span(), status, failed=failed)

    def annotate(self, attributes: Attributes) -> None:
        self._trace.get_current_span().set_attributes(dict(attributes))

    def record_error(self, code: str) -> None:
        _record_error(self._trace.get_current_span(), code, failed=True)

    async def shutdown(self) -> None:
        # The thread is a daemon: an exporter that hangs does not keep the process.
        ending = Thread(target=self._provider.shutdown, name="traces", daemon=True)
        ending.start()
        await asyncio.get_running_loop().run_in_executor(None, ending.join, FLUSH_SECONDS)


_tracer: _Tracer | None = None
_OFF: Final = nullcontext()


@asynccontextmanager
async def exporting(
    traces: Literal["off", "otlp"], service: str, processor: SpanProcessor | None = None
) -> AsyncIterator[None]:
    """Traces are on while the block runs, unless `traces` is `off`; its end waits up to FLUSH_SECONDS for the export.

    `service`: the name of the process's service, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES has one.
    `processor`: in place of the OTLP exporter, which the variables OTEL_EXPORTER_OTLP_* configure. Raises TracesError.
    """
    global _tracer  # one per process, as its logging
    if traces == "off":
        yield
        return
    tracer = _tracer = _configured(service, processor)
    try:
        yield
    finally:
        _tracer = None
        await tracer.shutdown()


def _configured(service: str, processor: SpanProcessor | None) -> _Tracer:
    try:
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider

        named = {"service.name": service} | dict(OTELResourceDetector().detect().attributes)
        provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
        provider.add_span_processor(processor or _exporter())
        return _Tracer(provider)
    except ImportError as error:
        raise TracesError(
            f"SLUICE_TRACES=otlp needs a package that is not installed ({error.name}): install sluice[otel], or set "
            "SLUICE_TRACES=off"
        ) from error
    except ValueError as error:  # of a variable OTEL_*
        raise TracesError(f"SLUICE_TRACES=otlp: a variable OTEL_* cannot be used: {error}") from error


def _exporter() -> SpanProcessor:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return BatchSpanProcessor(OTLPSpanExporter())


def enabled() -> bool:
    """Whether traces are on."""
    return _tracer is not None


def request_span(name: str, upload: str | None, client: str | None, attributes: Attributes) -> RequestSpan | None:
    """Start the span of a request. `upload`, `client`: the traceparent of the upload that it names, and its own. The
    span is below the client's if that belongs to the trace of the upload."""
    return None if _tracer is None else _tracer.request(name, upload, client, attributes)


def stage_span(
    name: str, upload: str | None, upload_id: str, attempt: int, fencing_token: int, waited_seconds: float
) -> Work:
    """The span of one run of the stage `name`, below that of `upload`, a traceparent."""
    if _tracer is None:
        return _OFF
    facts: Attributes = {
        _UPLOAD_ID: upload_id,
        "sluice.stage": name,
        "sluice.attempt": attempt,
        "sluice.fencing_token": fencing_token,
        "sluice.waited_seconds": waited_seconds,
    }
    return _tracer.work(f"stage {name}", "CONSUMER", upload, facts)


def client_span(name: str, upload: str | None = None, attributes: Attributes | None = None) -> Work:
    """The span of a request to another service, below that of `upload`, a traceparent; None: it begins a trace."""
    return _OFF if _tracer is None else _tracer.work(name, "CLIENT", upload, attributes or {})


def store_request(method: str, status: int | None, seconds: float) -> None:
    """Add the span of a request to the object store that has just ended, if a span is active. `status`: None without
    a response."""
    if _tracer is not None:
        _tracer.store_request(method, status, seconds)


def note_response(status: int | None, *, failed: bool) -> None:
    """The response to the request of the active span. `status`: None without a response."""
    if _tracer is not None:
        _tracer.note_response(status, failed=failed)


def note_upload(upload_id: str) -> None:
    """The active span concerns this upload."""
    if _tracer is not None:
        _tracer.annotate({_UPLOAD_ID: upload_id})


def note_outcome(outcome: str) -> None:
    """How the work of the active span ended."""
    if _tracer is not None:
        _tracer.annotate({"sluice.outcome": outcome})


def note_error(code: str) -> None:
    """The work of the active span has failed with this error."""
    if _tracer is not None:
        _tracer.record_error(code)


def current_traceparent() -> str | None:
    """That of the active span (W3C Trace Context, section 3.2); None without one."""
    return None if _tracer is None else _tracer.current_traceparent()


def add_ids(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor of structlog: adds `trace_id` and `span_id` of the active span."""
    if _tracer is not None and (found := _tracer.current()) is not None:
        event["trace_id"], event["span_id"] = f"{found.trace_id:032x}", f"{found.span_id:016x}"
    return event


def _record_response(span: Span, status: int | None, *, failed: bool) -> None:
    if status is not None:
        span.set_attribute("http.response.status_code", status)
    if failed:
        _record_error(span, "no_response" if status is None else str(status), failed=True)


def _record_error(span: Span, code: str | None, *, failed: bool) -> None:
    """`error.type` is the name in the semantic conventions of OpenTelemetry."""
    if code is not None:
        span.set_attribute("error.type", code)
    if failed:
        from opentelemetry.trace import StatusCode

        span.set_status(StatusCode.ERROR)
