"""Deliveries are in the trace of the upload that caused them, also where the notify worker exports no spans."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from pipeline.adapters.webhook_sender import WebhookHttpSender
from pipeline.adapters.webhook_signatures import StandardSigner
from pipeline.core.public_addresses import parse_networks
from pipeline.ports.webhooks import NewWebhook
from pipeline.tasks import end_tasks
from pipeline.webhooks.delivery import Deliveries, DeliveryRules
from tests.contract.postgres.outbox import Scene, new_event
from tests.contract.postgres.test_contents import new_record
from tests.harness.tracing import SPAN_ID, TRACE_ID, TRACEPARENT, ids, parent, traced
from tests.harness.webhook_receiver import Received, webhook_receiver

pytestmark = pytest.mark.contract

_LOOPBACK = parse_networks(["127.0.0.0/8"])


async def _delivered(scene: Scene) -> list[Received]:
    """What an endpoint receives of a content with a trace, and of an upload without one."""
    signer = StandardSigner()
    async with webhook_receiver() as receiver, WebhookHttpSender(_LOOPBACK, 30.0) as sender:
        receiver.secrets.append(signer.new_secret())
        await scene.webhooks.add(
            NewWebhook("a3a1c9f0-6f5e-4d83-9f0e-3c1b2a4d5e6f", None, receiver.url, [], "", receiver.secrets[0]), 16
        )
        await scene.contents.save(replace(new_record(volume="local"), traceparent=TRACEPARENT))
        await scene.outbox.release(await scene.outbox.held("local", 10))
        await scene.outbox.add([replace(new_event(), body='{"type": "upload.admitted", "data": {}}')])
        running = asyncio.create_task(Deliveries(scene.outbox, sender, signer, DeliveryRules()).run())
        await receiver.until(2)
        await end_tasks(running)
        return sorted(receiver.accepted, key=lambda item: item.type)


async def test_the_endpoint_receives_the_traceparent_of_the_upload(scene: Scene) -> None:
    ready, admitted = await _delivered(scene)
    assert ready.headers["traceparent"] == TRACEPARENT
    assert "traceparent" not in admitted.headers


async def test_where_spans_are_exported_the_delivery_has_one(scene: Scene) -> None:
    async with traced() as spans:
        ready, admitted = await _delivered(scene)
    span = spans.only("webhook content.ready")
    assert (ids(span)[0], parent(span)) == (TRACE_ID, SPAN_ID)
    assert ready.headers["traceparent"] == f"00-{TRACE_ID}-{ids(span)[1]}-01"
    facts = dict(span.attributes or {})
    assert (facts["sluice.event_id"], facts["sluice.attempt"]) == (ready.event_id, 1)
    assert facts["http.response.status_code"] == 204
    begun = spans.only("webhook upload.admitted")
    assert (parent(begun), admitted.headers["traceparent"].split("-")[1]) == (None, ids(begun)[0])
