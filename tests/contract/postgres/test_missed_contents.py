"""Contents that were stored before a webhook existed: their events, made again from the rows."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from pipeline.adapters.postgres import missed_contents
from pipeline.core.webhooks import EventType, event_id
from schemas.content import Content
from schemas.webhooks import WebhookReplay, WebhookReplayed
from tests.contract.postgres.outbox import Scene
from tests.contract.postgres.test_contents import new_record
from tests.harness.cell import eventually

pytestmark = pytest.mark.contract


async def stored(scene: Scene, hours: float, **more: Any) -> Content:
    """A content that is so old."""
    saved = await scene.contents.save(new_record(**more))
    created_at = saved.created_at - timedelta(hours=hours)
    await scene.database.execute("UPDATE contents SET created_at = $2 WHERE id = $1", UUID(saved.id), created_at)
    return saved.model_copy(update={"created_at": created_at})


async def replayed(scene: Scene, webhook: str, limit: int = 100, **filters: Any) -> WebhookReplayed:
    return await scene.webhooks.replay_contents(webhook, WebhookReplay(contents=True, **filters), limit)


async def delivered(scene: Scene) -> list[str]:
    """The contents of all deliveries that are due, which are delivered."""
    claimed = await scene.claim()
    await scene.delivered(*claimed)
    return [
        json.loads(item.body)["data"]["content"]["id"] for item in sorted(claimed, key=lambda item: item.delivery_id)
    ]


async def test_contents_from_before_the_webhook_are_sent_once_and_oldest_first(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missed_contents, "_BATCH", 2)
    old = [(await stored(scene, hours)).id for hours in (5, 4, 3, 2, 1)]
    await scene.contents.save(new_record())  # earlier events of its upload may not have been copied yet
    webhook, other = await scene.subscribe(), await scene.subscribe()
    assert await replayed(scene, webhook, 3) == WebhookReplayed(queued=3, more=True)
    assert await replayed(scene, webhook, 0) == WebhookReplayed(queued=0, more=True)
    assert await replayed(scene, webhook) == WebhookReplayed(queued=2, more=False)
    assert await replayed(scene, webhook) == WebhookReplayed(queued=0, more=False)
    assert await delivered(scene) == old
    assert await replayed(scene, webhook) == WebhookReplayed(queued=0, more=False)
    assert await replayed(scene, other) == WebhookReplayed(queued=5, more=False), "each webhook has its own deliveries"


async def test_the_event_is_the_one_that_was_recorded(scene: Scene) -> None:
    first = await scene.subscribe()
    content = await stored(scene, 1, volume="local")
    made = event_id(EventType.READY, content.id)
    late = await scene.subscribe()
    assert (await replayed(scene, late)).queued == 0, "it is going to be given to both"
    await scene.outbox.release([made])
    recorded = {item.webhook_id: item for item in await scene.claim()}
    await scene.delivered(*recorded.values())
    assert set(recorded) == {first, late}
    await scene.database.execute("DELETE FROM webhook_events")
    assert (await replayed(scene, late)).queued == 1, "it is kept no longer"
    (again,) = await scene.claim()
    assert (again.webhook_id, again.event_id) == (late, made)
    event, before = json.loads(again.body), json.loads(recorded[late].body)
    assert event["data"]["content"].pop("created_at") == event.pop("timestamp")
    del before["timestamp"], before["data"]["content"]["created_at"]
    assert event == before


async def test_filters_choose_contents(scene: Scene) -> None:
    ann, bob = await stored(scene, 3, owner="ann"), await stored(scene, 1, owner="bob")
    everybody = await scene.subscribe()
    assert (await replayed(scene, str(uuid4()))).queued == 0
    for filters, chosen in (
        ({"owner": "ann"}, ann),
        ({"upload_id": bob.id}, bob),
        ({"since": ann.created_at + timedelta(hours=1)}, bob),
        ({"until": bob.created_at}, ann),
    ):
        assert await replayed(scene, everybody, **filters) == WebhookReplayed(queued=1, more=False)
        assert await delivered(scene) == [chosen.id]
        await scene.database.execute("DELETE FROM webhook_events")
    for_ann = await scene.subscribe("ann")
    assert (await replayed(scene, for_ann, owner="bob")).queued == 0
    assert (await replayed(scene, for_ann)).queued == 1
    assert (await replayed(scene, await scene.subscribe(None, ["upload.failed"]))).queued == 0


async def test_a_deletion_comes_after_it(scene: Scene) -> None:
    content = await stored(scene, 1)
    webhook = await scene.subscribe()
    await replayed(scene, webhook)
    await scene.deletions.begin(content.id, 60, None)
    await scene.outbox.release(await scene.outbox.held("local", 10))
    order = []
    while claimed := await scene.claim():
        order += [item.type for item in claimed]
        await scene.delivered(*claimed)
    assert order == ["content.ready", "content.deleted"]


async def test_a_content_that_is_being_deleted_is_not_sent(scene: Scene) -> None:
    """The deletion is not committed yet when its content is found; then it is, and its event may be delivered."""
    content = await stored(scene, 1)
    webhook = await scene.subscribe()
    transaction = scene.database.transaction()
    await transaction.start()
    await scene.database.execute("DELETE FROM contents WHERE id = $1", UUID(content.id))
    replaying = asyncio.create_task(replayed(scene, webhook))

    async def waits() -> bool:
        return bool(await scene.database.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

    await eventually(waits, 30.0, lambda: "the replay waits for the deletion")
    await transaction.commit()
    assert await replaying == WebhookReplayed(queued=0, more=False)
    assert await scene.claim() == []
