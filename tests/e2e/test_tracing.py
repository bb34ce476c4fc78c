"""One trace per upload, as a collector receives it from a real gateway and real workers over OTLP."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from deploy.cli.processes import import_path
from deploy.embedded.ports import PortPool
from pipeline.bootstrap.webhooks import webhook_management
from tests.harness.cell import SEGMENT_BYTES, Cell, eventually
from tests.harness.media_samples import sample
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers
from tests.harness.webhook_receiver import webhook_receiver

pytestmark = pytest.mark.e2e

_TRACE, _CLIENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
_OTHER_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
_IMPORT = "/v1/contents/import"
_PUT = "PUT /v1/uploads/{id}/segments/{number}"
_WEBHOOK = "webhook content.ready"
_SECONDS = 30.0


@dataclass
class Collector:
    """What an OTLP receiver has got: spans, and the names of the services that sent them."""

    url: str = ""
    spans: dict[str, Span] = field(default_factory=dict)
    services: set[str] = field(default_factory=set)

    async def receive(self, request: web.Request) -> web.Response:
        exported = ExportTraceServiceRequest.FromString(await request.read())
        for resource in exported.resource_spans:
            named = {item.key: item.value.string_value for item in resource.resource.attributes}
            self.services.add(named["service.name"])
            for scope in resource.scope_spans:
                self.spans.update({span.span_id.hex(): span for span in scope.spans})
        response = ExportTraceServiceResponse().SerializeToString()
        return web.Response(body=response, content_type="application/x-protobuf")

    def named(self, name: str, trace: str = "") -> list[Span]:
        """Those of one trace: by default that of the upload."""
        return [span for span in self.spans.values() if (span.name, span.trace_id.hex()) == (name, trace or _TRACE)]


@asynccontextmanager
async def collector() -> AsyncIterator[Collector]:
    received = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", received.receive)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        received.url = f"http://{host}:{port}"
        yield received
    finally:
        await runner.cleanup()


def _facts(span: Span) -> dict[str, Any]:
    return {item.key: getattr(item.value, str(item.value.WhichOneof("value"))) for item in span.attributes}


def _events(cell: Cell, name: str, event: str) -> list[dict[str, Any]]:
    """The events of this name in the log of a process."""
    lines = cell.processes.log_path(name).read_text().splitlines()
    logged = [json.loads(line) for line in lines if line.startswith("{")]
    return [found for found in logged if found["event"] == event]


async def _sent(cell: Cell) -> str:
    """An upload of two segments whose client has a trace only for its creation; its id, once it is `ready`."""
    data = sample("mp4").read_bytes().ljust(2 * SEGMENT_BYTES, b"\0")
    body = {"filename": "a.mp4", "size": len(data), "content_type": "video/mp4"}
    headers = {"traceparent": f"00-{_TRACE}-{_CLIENT}-01"}
    _, created, _ = await cell.call("POST", "/v1/uploads", json=body, headers=headers, expect=201)
    cell.uploads.append(created["data"]["id"])
    await cell.put_all(created["data"], data)
    await cell.until(created["data"]["id"], "ready")
    name: str = created["data"]["id"]
    return name


async def _sent_by_the_command(cell: Cell, directory: Path) -> str:
    """The trace of a file that `sluice upload` sends, which has a span of its own."""
    path = directory / "b.mp4"
    path.write_bytes(sample("mp4").read_bytes())
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.cli", "upload", "--json", str(path)),
        env={
            **os.environ,
            **cell.environment,
            "PYTHONPATH": import_path(),
            "SLUICE_SERVER": cell.processes.url,
            "XDG_STATE_HOME": str(directory / "state"),
        },
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await command.communicate()
    assert command.returncode == 0
    created, *_, ended = [json.loads(line) for line in output.splitlines()]
    cell.uploads.append(ended["upload_id"])
    trace: str = created["trace_id"]
    return trace


async def _imported(cell: Cell) -> None:
    """An import whose client has another trace, once it is `ready`."""
    await cell.store.put_object("raw/a.mp4", sample("mp4").read_bytes(), "video/mp4")
    headers = {"traceparent": f"00-{_OTHER_TRACE}-{_CLIENT}-01"}
    _, created, _ = await cell.call("POST", _IMPORT, json={"key": "raw/a.mp4"}, headers=headers, expect=201)
    cell.uploads.append(created["data"]["id"])
    await cell.until(created["data"]["id"], "ready")


async def test_an_upload_is_one_trace_from_its_client_to_the_store(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with collector() as received:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", received.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        async with (
            running_cell(servers, tmp_path, traces="otlp", log_format="json", webhook_networks="127.0.0.0/8") as cell,
            webhook_receiver() as receiver,
        ):
            async with webhook_management(cell.settings) as webhooks:
                _, secret = await webhooks.create(None, receiver.url, ["content.ready"], "")
            receiver.secrets.append(secret)
            upload_id = await _sent(cell)
            await _imported(cell)
            commands_trace = await _sent_by_the_command(cell, tmp_path)
            await receiver.until(3)

            async def complete() -> bool:
                traces = (_TRACE, _OTHER_TRACE, commands_trace)
                ended = [received.named(name, trace) for name in ("stage persist", _WEBHOOK) for trace in traces]
                return all(ended) and len(received.named(_PUT)) == 2

            await eventually(complete, _SECONDS, lambda: f"the spans: {[s.name for s in received.spans.values()]}")
            spans = dict(received.spans)
            logged = [*_events(cell, "gateway", "http.request"), *_events(cell, "worker-all", "stage.done")]

    assert received.services == {"sluice-gateway", "sluice-worker", "sluice-upload"}
    assert {span.trace_id.hex() for span in spans.values()} == {_TRACE, _OTHER_TRACE, commands_trace}
    (file,) = received.named("upload file", commands_trace)
    for name in ("POST /v1/uploads", _PUT):
        (request,) = received.named(name, commands_trace)
        assert request.parent_span_id == file.span_id
        assert _facts(request)["sluice.upload_id"] == _facts(file)["sluice.upload_id"]
    assert _facts(file)["sluice.outcome"] == "ready"
    for event in receiver.accepted:
        _, trace, span_id, _ = event.headers["traceparent"].split("-")
        (delivery,) = received.named(_WEBHOOK, trace)
        assert delivery.span_id.hex() == span_id
    (imported,) = received.named(f"POST {_IMPORT}", _OTHER_TRACE)
    assert imported.parent_span_id.hex() == _CLIENT
    assert received.named("stage persist", _OTHER_TRACE)[0].parent_span_id == imported.span_id
    (created,) = received.named("POST /v1/uploads")
    assert received.named(_WEBHOOK)[0].parent_span_id == created.span_id
    assert created.parent_span_id.hex() == _CLIENT
    assert _facts(created)["sluice.upload_id"] == upload_id
    stages = {name: received.named(f"stage {name}") for name in ("transfer", "seal", "probe", "persist")}
    assert all(stages.values())
    for span in (*received.named(_PUT), *(run for runs in stages.values() for run in runs)):
        assert span.parent_span_id == created.span_id
        assert _facts(span)["sluice.upload_id"] == upload_id
    assert {_facts(span)["sluice.outcome"] for span in stages["persist"]} == {"done"}
    transfers = {span.span_id for span in stages["transfer"]}
    sent = [span for span in received.named("store PUT") if span.parent_span_id in transfers]
    # Beside them there may be requests that create the containers.
    statuses = [_facts(span)["http.response.status_code"] for span in sent]
    assert statuses.count(201) >= 2, "one for each segment"

    by_id = {event["span_id"]: event for event in logged if event.get("trace_id") == _TRACE}
    assert {created.span_id.hex(), *(span.span_id.hex() for span in stages["persist"])} <= by_id.keys()


@asynccontextmanager
async def nobody() -> AsyncIterator[str]:
    """A URL where nobody listens."""
    ports = PortPool()
    try:
        yield f"http://127.0.0.1:{ports.port('nobody')}"
    finally:
        ports.release_all()


@asynccontextmanager
async def silence() -> AsyncIterator[str]:
    """The URL of a server that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("unavailable", [nobody, silence])
async def test_an_unavailable_collector_delays_and_fails_nothing(
    servers: Servers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    unavailable: Callable[[], AbstractAsyncContextManager[str]],
) -> None:
    """Its time limit is longer than the time that a process has to end, after which it would be killed."""
    async with unavailable() as url:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "300")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        async with running_cell(servers, tmp_path, traces="otlp", log_format="json") as cell:
            await _sent(cell)
            assert _events(cell, "gateway", "http.request")[0]["trace_id"] == _TRACE
            cell.processes.stop()
            ended = [cell.processes.child(name).exit_status for name in cell.processes.names]
            assert ended == [0] * len(ended)
