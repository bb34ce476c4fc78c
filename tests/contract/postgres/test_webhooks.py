"""`ports.webhooks.WebhookRepository` on a real PostgreSQL, directly and through PgBouncer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from pipeline.core.errors import RequestError
from pipeline.core.webhooks import AfterFailure, Attempt, EventType
from schemas.webhooks import Webhook, WebhookReplay
from tests.contract.postgres.outbox import Scene, new_event, types

pytestmark = pytest.mark.contract


async def refused(call: Awaitable[Any], code: str) -> None:
    with pytest.raises(RequestError) as error:
        await call
    assert error.value.code == code


def ids(webhooks: Any) -> list[str]:
    return [webhook.id for webhook in webhooks]


async def test_an_owner_has_a_limited_number_of_webhooks(scene: Scene) -> None:
    made = await asyncio.gather(*(scene.subscribe("ann", limit=3) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(item, str) for item in made) == 3
    assert {item.code for item in made if isinstance(item, RequestError)} == {"WEBHOOK_LIMIT"}
    await scene.subscribe("bob", limit=3)
    for _ in range(3):
        await scene.subscribe(None, limit=3)
    await refused(scene.subscribe(None, limit=3), "WEBHOOK_LIMIT")


async def test_an_owner_sees_and_changes_its_own_webhooks_alone(scene: Scene) -> None:
    own, other = await scene.subscribe("ann"), await scene.subscribe("bob")
    everybody = await scene.subscribe(None)
    repository = scene.webhooks
    assert ids(await repository.page("ann", None, 10)) == [own]
    assert ids(await repository.page(None, None, 10)) == [everybody, other, own]
    for hidden in (other, everybody, str(uuid4()), "no-id"):
        for call in (
            repository.get(hidden, "ann"),
            repository.change(hidden, "ann", paused=True),
            repository.rotate(hidden, "ann", "whsec_bmV3", 0),
            repository.remove(hidden, "ann"),
        ):
            await refused(call, "WEBHOOK_NOT_FOUND")
    assert (await repository.get(other, None)).state == "active"
    await repository.remove(own, "ann")
    await refused(repository.get(own, None), "WEBHOOK_NOT_FOUND")


async def test_webhooks_are_listed_in_pages(scene: Scene) -> None:
    made = [await scene.subscribe(None) for _ in range(5)]
    found: list[Webhook] = []
    while page := await scene.webhooks.page(None, _position(found[-1]) if found else None, 2):
        found += page
    assert ids(found) == made[::-1]


def _position(webhook: Webhook) -> tuple[int, str]:
    since = webhook.created_at - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(microseconds=1), webhook.id


async def test_what_is_not_given_stays_as_it_is(scene: Scene) -> None:
    webhook = await scene.subscribe("ann", ["content.ready"])
    changed = await scene.webhooks.change(webhook, "ann", note="other")
    assert (changed.note, changed.events, changed.url) == ("other", ["content.ready"], "https://a.example/events")
    await scene.outbox.failing(webhook, "refused")
    assert (await scene.webhooks.change(webhook, "ann", events=[])).failures == 1
    changed = await scene.webhooks.change(webhook, "ann", url="https://b.example/")
    assert (changed.url, changed.events, changed.failures) == ("https://b.example/", [], 0)
    paused = await scene.webhooks.change(webhook, "ann", paused=True)
    assert (paused.state, paused.pause_reason) == ("paused", "requested")
    assert (await scene.webhooks.change(webhook, "ann", note="")).state == "paused"


async def test_a_test_is_delivered_to_its_webhook_alone(scene: Scene) -> None:
    webhook, _ = await scene.subscribe("ann", ["content.ready"]), await scene.subscribe(None)
    event = new_event(EventType.TEST)
    queued = await scene.webhooks.test(webhook, event)
    assert (queued.state, queued.type, queued.event_id) == ("pending", "webhook.test", event.event_id)
    (claimed,) = await scene.claim()
    assert (claimed.webhook_id, claimed.delivery_id) == (webhook, queued.id)
    await refused(scene.webhooks.test(str(uuid4()), new_event(EventType.TEST)), "WEBHOOK_NOT_FOUND")


async def test_deliveries_are_listed_newest_first(scene: Scene) -> None:
    webhook = await scene.subscribe()
    await scene.outbox.add([new_event() for _ in range(5)])
    await scene.delivered(*await scene.claim(2))
    listed = await scene.webhooks.deliveries(webhook, None, None, 3)
    rest = await scene.webhooks.deliveries(webhook, None, listed[-1].id, 3)
    numbers = [item.id for item in (*listed, *rest)]
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) == 5
    done = await scene.webhooks.deliveries(webhook, "delivered", None, 10)
    assert [(item.status, item.attempts, item.due_at) for item in done] == [(204, 1, None)] * 2


async def test_a_replay_queues_matching_events_once(scene: Scene) -> None:
    webhook = await scene.subscribe(None, ["upload.admitted", "upload.failed"])
    events = [new_event() for _ in range(3)]
    failed = new_event(EventType.FAILED, events[0].upload_id)
    await scene.outbox.add([*events, failed])
    await scene.webhooks.test(webhook, new_event(EventType.TEST))
    while claimed := await scene.claim():
        for item in claimed:
            if item.type == "upload.failed":
                await scene.outbox.failed(item.delivery_id, Attempt(500, "500"), AfterFailure(None, 0, None))
            else:
                await scene.delivered(item)

    async def replayed(limit: int = 100, **filters: Any) -> tuple[int, bool, list[str]]:
        done = await scene.webhooks.replay(webhook, WebhookReplay(**filters), limit)
        again = await scene.webhooks.replay(webhook, WebhookReplay(**filters), limit)
        assert again.queued == 0 or done.more, "what is pending is not queued again"
        found = []
        while claimed := await scene.claim():
            found += types(claimed)
            await scene.delivered(*claimed)
        return done.queued, done.more, sorted(found)

    assert await replayed(state="failed") == (1, False, ["upload.failed"])
    assert await replayed(state="failed") == (0, False, [])
    assert await replayed(upload_id=events[0].upload_id) == (2, False, ["upload.admitted", "upload.failed"])
    assert await replayed(events=["upload.failed"]) == (1, False, ["upload.failed"])
    assert await replayed(events=["content.ready"]) == (0, False, [])
    now = datetime.now(UTC)
    assert (await replayed(since=now)) == (0, False, [])
    assert (await replayed(until=now))[0] == 5
    assert (await replayed(limit=2)) == (2, True, ["upload.admitted"] * 3 + ["upload.failed"])
    newest = (await scene.webhooks.deliveries(webhook, None, None, 1))[0]
    assert (await replayed(deliveries=[newest.id]))[0] == 1
    later = await scene.subscribe("default")
    assert (await scene.webhooks.replay(later, WebhookReplay(), 100)).queued == 4, (
        "also of before there was the webhook"
    )
    other = await scene.subscribe("ann")
    assert (await scene.webhooks.replay(other, WebhookReplay(), 100)).queued == 0
