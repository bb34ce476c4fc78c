"""Traces that are off, and traces that cannot be switched on."""

from __future__ import annotations

import subprocess
import sys
from contextlib import AbstractContextManager
from typing import Any

import pytest

from deploy.cli.failures import is_expected, sentence
from pipeline import tracing
from pipeline.core.new_upload_data import from_data, to_data
from tests.harness.new_uploads import new_upload
from tests.harness.tracing import TRACEPARENT, traced

pytestmark = pytest.mark.unit

_OFF = """
import asyncio, sys
import gateway.server, workers.process, workers.admission, workers.notify
from pipeline import tracing

async def main():
    async with tracing.exporting("off", "sluice-test"):
        tracing.store_request("PUT", 201, 0.1)
        with tracing.stage_span("probe", None, "id", 1, 1, 0.0):
            tracing.note_outcome("done")

asyncio.run(main())
print([name for name in sys.modules if name.split(".")[0] in ("opentelemetry", "google", "requests")])
"""


def test_a_process_without_traces_imports_nothing_of_opentelemetry() -> None:
    ran = subprocess.run([sys.executable, "-c", _OFF], capture_output=True, text=True, check=True)
    imported = ran.stdout.strip()
    assert "opentelemetry" not in imported
    assert "requests" not in imported


def test_all_is_off_by_default() -> None:
    assert not tracing.enabled()
    assert tracing.current_traceparent() is None
    assert tracing.request_span("GET /", TRACEPARENT, TRACEPARENT, {}) is None
    first = _stage_span()
    assert first is _stage_span(), "nothing is made"
    assert tracing.add_ids(None, "info", {"event": "e"}) == {"event": "e"}


def _stage_span() -> AbstractContextManager[None]:
    return tracing.stage_span("probe", TRACEPARENT, "id", 1, 1, 0.0)


async def test_traces_end_with_their_block() -> None:
    async with traced():
        assert tracing.enabled()
    assert not tracing.enabled()


async def test_without_its_packages_a_process_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(tracing.TracesError, match=r"install sluice\[otel\]") as raised:
        async with tracing.exporting("otlp", "sluice-test"):
            pass
    assert is_expected(raised.value)
    assert sentence(raised.value).startswith("SLUICE_TRACES=otlp needs a package that is not installed (opentelemetry")
    assert not tracing.enabled()


async def test_a_variable_that_cannot_be_used_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")
    with pytest.raises(tracing.TracesError, match="a variable OTEL_"):
        async with tracing.exporting("otlp", "sluice-test"):
            pass
    assert not tracing.enabled()


async def test_a_store_request_outside_of_any_work_has_no_span() -> None:
    async with traced() as spans:
        tracing.store_request("GET", 200, 0.1)
        assert spans.all() == []
        with tracing.stage_span("probe", TRACEPARENT, "id", 1, 1, 0.0):
            tracing.store_request("GET", None, 0.1)
    request, stage = spans.all()
    assert request.parent == stage.context
    found: dict[str, Any] = dict(request.attributes or {})
    assert found == {"http.request.method": "GET", "error.type": "no_response"}
    assert request.end_time is not None
    assert request.start_time is not None
    assert round((request.end_time - request.start_time) / 1e6) == 100


def test_the_first_entry_of_a_journal_leaves_the_trace_out() -> None:
    """The previous release reads every journal, and knows no such field; it skips the entry that has the trace."""
    new = new_upload(traceparent=TRACEPARENT)
    assert "traceparent" not in to_data(new)
    assert from_data(to_data(new)) == new_upload(upload_id=new.upload_id)
    assert from_data(to_data(new) | {"traceparent": TRACEPARENT}) == new, "a later release may write it"
