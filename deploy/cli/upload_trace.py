"""The trace of each file that `sluice upload` sends.

Guarantee: the requests that create an upload and send its segments carry a `traceparent`: of a span of this command
where SLUICE_TRACES is `otlp`, otherwise a new one, which needs no library. So the server's spans of one file are one
trace, whose id is known here (W3C Trace Context, section 3.2).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from deploy.cli.errors import ClientError
from pipeline.tracing import client_span, current_traceparent, note_error

_FLAGS: Final = "03"
"""Sampled and random, as the library sends it (W3C Trace Context Level 2, section 3.2.2.5). A server whose sampler
follows its clients would record nothing of a trace that is not sampled."""

_traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)


@contextmanager
def file_trace() -> Iterator[None]:
    """The requests of the block are of one trace; a ClientError that ends it is the error of its span."""
    with client_span("upload file"):
        token = _traceparent.set(current_traceparent() or _new())
        try:
            yield
        except ClientError as error:
            note_error(error.code)
            raise
        finally:
            _traceparent.reset(token)


def trace_headers() -> dict[str, str]:
    """What a request sends; nothing outside of `file_trace`."""
    found = _traceparent.get()
    return {} if found is None else {"traceparent": found}


def trace_id() -> str | None:
    """Of the trace of the file, in hexadecimal; None outside of `file_trace`."""
    found = _traceparent.get()
    return None if found is None else found.split("-")[1]


def _new() -> str:
    """Of random numbers, which are not 0, as the format demands."""
    trace, span = (1 + secrets.randbelow(2**bits - 1) for bits in (128, 64))
    return f"00-{trace:032x}-{span:016x}-{_FLAGS}"
