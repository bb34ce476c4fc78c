"""`ports.webhooks.Outbox` on a real PostgreSQL, directly and through PgBouncer."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from pipeline.core.errors import RequestError
from pipeline.core.webhooks import AfterFailure, Attempt, EventType, PauseReason, event_id
from tests.contract.postgres.outbox import Scene, new_event, types
from tests.contract.postgres.test_contents import new_record

pytestmark = pytest.mark.contract

_REFUSED = Attempt(503, "it responded 503")


async def test_events_are_given_to_the_webhooks_that_ask_for_them(scene: Scene) -> None:
    everything = await scene.subscribe()
    of_owner = await scene.subscribe("ann")
    failures = await scene.subscribe(None, ["upload.failed"])
    admitted, of_ann = new_event(), new_event(owner="ann")
    failed = new_event(EventType.FAILED)
    await scene.outbox.add([admitted, of_ann, failed])
    claimed = {(item.webhook_id, item.event_id) for item in await scene.claim()}
    assert claimed == {
        *((everything, event.event_id) for event in (admitted, of_ann, failed)),
        (of_owner, of_ann.event_id),
        (failures, failed.event_id),
    }


async def test_events_that_nobody_asks_for_are_not_kept(scene: Scene) -> None:
    await scene.subscribe("ann", ["upload.failed"])
    await scene.outbox.add([new_event(), new_event(EventType.FAILED), new_event(owner="ann")])
    await scene.contents.save(new_record(volume="local"))
    assert await scene.database.fetchval("SELECT count(*) FROM webhook_events") == 0


async def test_an_event_that_is_added_again_is_delivered_once(scene: Scene) -> None:
    await scene.subscribe()
    event = new_event()
    for _ in range(2):
        await scene.outbox.add([event, replace(event, body="other")])
    await asyncio.gather(*(scene.outbox.add([event]) for _ in range(8)))
    (claimed,) = await scene.claim()
    assert claimed.body == event.body


async def test_deliveries_of_an_upload_are_claimed_one_after_the_other(scene: Scene) -> None:
    await scene.subscribe()
    first = new_event()
    other = new_event()
    await scene.outbox.add([first, other, new_event(EventType.MEDIA, first.upload_id)])
    claimed = await scene.claim()
    assert {item.event_id for item in claimed} == {first.event_id, other.event_id}
    assert await scene.claim() == []
    await scene.delivered(*claimed)
    assert types(await scene.claim()) == ["media.known"]


async def test_a_failed_delivery_holds_up_those_of_its_upload_until_it_is_given_up(scene: Scene) -> None:
    await scene.subscribe()
    first = new_event()
    await scene.outbox.add([first, new_event(EventType.MEDIA, first.upload_id)])
    (claimed,) = await scene.claim()
    await scene.outbox.failed(claimed.delivery_id, _REFUSED, AfterFailure(3600, 0, None))
    assert await scene.claim() == []
    await scene.all_due()
    (again,) = await scene.claim()
    assert (again.event_id, again.attempts) == (first.event_id, 2)
    await scene.outbox.failed(claimed.delivery_id, _REFUSED, AfterFailure(None, 0, None))
    assert types(await scene.claim()) == ["media.known"]
    (listed,) = await scene.webhooks.deliveries(claimed.webhook_id, "failed", None, 10)
    assert (listed.status, listed.error, listed.attempts, listed.due_at) == (503, "it responded 503", 2, None)


async def test_each_delivery_is_claimed_by_one_caller_until_its_lease_ends(scene: Scene) -> None:
    await scene.subscribe()
    await scene.outbox.add([new_event() for _ in range(40)])
    found = [item.delivery_id for items in await asyncio.gather(*(scene.claim(10) for _ in range(8))) for item in items]
    found += [item.delivery_id for item in await scene.claim()]
    assert len(found) == len(set(found)) == 40
    await scene.all_due()
    assert len(await scene.claim()) == 40
    await scene.outbox.unclaim(found[:5])
    assert {item.delivery_id for item in await scene.claim()} == set(found[:5])


async def test_a_webhook_has_a_share_of_the_deliveries(scene: Scene) -> None:
    slow, other = await scene.subscribe("ann"), await scene.subscribe("bob")
    await scene.outbox.add([*(new_event(owner="ann") for _ in range(9)), new_event(owner="bob")])
    claimed = await scene.claim(each=4)
    assert sorted(item.webhook_id for item in claimed) == sorted([slow] * 4 + [other])
    assert await scene.claim(busy=[slow]) == []
    assert len(await scene.claim()) == 5


async def test_a_failing_webhook_is_tried_with_one_delivery_and_a_paused_one_not_at_all(scene: Scene) -> None:
    webhook = await scene.subscribe()
    await scene.outbox.add([new_event() for _ in range(5)])
    (claimed,) = await scene.claim(1)
    failures, failing_seconds = await scene.outbox.failing(webhook, "no response")
    assert failures == 1
    assert failing_seconds >= 0
    await scene.outbox.failed(claimed.delivery_id, Attempt(None, "no response"), AfterFailure(1, 60, None))
    assert await scene.claim() == []
    await scene.all_due()
    assert len(await scene.claim()) == 1
    shown = await scene.webhooks.get(webhook, None)
    assert (shown.state, shown.failures, shown.last_error, shown.pending) == ("failing", 1, "no response", 5)
    await scene.outbox.failed(claimed.delivery_id, _REFUSED, AfterFailure(1, 0, PauseReason.FAILING))
    await scene.all_due()
    assert await scene.claim() == []
    shown = await scene.webhooks.get(webhook, None)
    assert (shown.state, shown.pause_reason) == ("paused", "failing")
    figures = await scene.outbox.figures()
    assert (figures.paused, figures.failing, figures.pending, figures.oldest_seconds) == (1, 0, 5, 0)
    resumed = await scene.webhooks.change(webhook, None, paused=False)
    assert (resumed.state, resumed.pause_reason, resumed.failures) == ("active", None, 0)
    assert len(await scene.claim()) == 5


async def test_a_success_ends_the_failures_of_its_webhook(scene: Scene) -> None:
    webhook = await scene.subscribe()
    await scene.outbox.add([new_event()])
    for count in (1, 2):
        assert (await scene.outbox.failing(webhook, "refused"))[0] == count
    await scene.delivered(*await scene.claim())
    shown = await scene.webhooks.get(webhook, None)
    assert (shown.state, shown.failures, shown.failing_since, shown.last_error) == ("active", 0, None, None)
    assert shown.last_success_at is not None


async def test_events_of_contents_are_released_after_those_of_their_redis(scene: Scene) -> None:
    await scene.subscribe()
    record = new_record(volume="disk-1")
    await scene.contents.save(record)
    await scene.contents.save(record)
    await scene.deletions.begin(record.content_id, 60, None)
    with pytest.raises(RequestError):
        await scene.deletions.begin(record.content_id, 60, None)
    assert await scene.claim() == []
    assert (await scene.outbox.figures()).held == 2
    assert await scene.outbox.held("disk-2", 10) == []
    expected = [event_id(kind, record.content_id) for kind in (EventType.READY, EventType.DELETED)]
    held = await scene.outbox.held("disk-1", 10)
    assert held == expected
    await scene.outbox.add([new_event(EventType.MEDIA, record.content_id)])
    await asyncio.gather(*(scene.outbox.release(held) for _ in range(4)))
    delivered = []
    while claimed := await scene.claim():
        delivered += types(claimed)
        await scene.delivered(*claimed)
    assert delivered == ["media.known", "content.ready", "content.deleted"]
    assert await scene.outbox.held("disk-1", 10) == []


async def test_a_transaction_that_fails_leaves_no_event(scene: Scene) -> None:
    await scene.subscribe()
    record = new_record(volume="local")
    await scene.contents.save(record)
    with pytest.raises(RequestError) as taken:
        await scene.contents.save(replace(new_record(volume="local"), stored=record.stored))
    assert taken.value.code == "CONTENT_EXISTS"
    assert await scene.outbox.held("local", 10) == [event_id(EventType.READY, record.content_id)]


async def test_any_worker_releases_what_the_workers_of_a_volume_have_left(scene: Scene) -> None:
    await scene.subscribe()
    record = new_record(volume="gone")
    await scene.contents.save(record)
    assert await scene.outbox.held("local", 10) == []
    await scene.database.execute("UPDATE webhook_events SET recorded_at = now() - interval '2 hours'")
    assert await scene.outbox.held("local", 10) == [event_id(EventType.READY, record.content_id)]


async def test_the_deletion_of_an_older_content_waits_for_no_volume(scene: Scene) -> None:
    record = new_record(volume="disk-1")
    await scene.contents.save(record)
    await scene.subscribe()
    await scene.deletions.begin(record.content_id, 60, None)
    assert await scene.outbox.held("disk-2", 10) == [event_id(EventType.DELETED, record.content_id)]


async def test_old_deliveries_are_given_up_and_old_events_deleted(scene: Scene) -> None:
    webhook = await scene.subscribe()
    kept, old = new_event(), new_event()
    await scene.outbox.add([kept, old])
    await scene.database.execute(
        "UPDATE webhook_deliveries SET created_at = now() - interval '4 days' WHERE event_id = $1", old.event_id
    )
    await scene.outbox.give_up()
    assert [item.event_id for item in await scene.webhooks.deliveries(webhook, "failed", None, 9)] == [old.event_id]
    await scene.database.execute("UPDATE webhook_events SET recorded_at = now() - interval '8 days'")
    await scene.outbox.purge(7 * 86400)
    assert [item.event_id for item in await scene.webhooks.deliveries(webhook, None, None, 9)] == [kept.event_id]
    await scene.delivered(*await scene.claim())
    await scene.outbox.purge(7 * 86400)
    assert await scene.webhooks.deliveries(webhook, None, None, 9) == []


async def test_the_previous_secret_signs_while_the_rotation_lasts(scene: Scene) -> None:
    webhook = await scene.subscribe()
    await scene.outbox.add([new_event() for _ in range(3)])
    shown = await scene.webhooks.rotate(webhook, None, "whsec_bmV3", 3600)
    assert shown.previous_secret_until is not None
    (claimed,) = await scene.claim(1)
    assert claimed.secrets == ["whsec_bmV3", "whsec_c2VjcmV0"]
    shown = await scene.webhooks.rotate(webhook, None, "whsec_bmV3ZXI=", 0)
    assert shown.previous_secret_until is None
    (claimed,) = await scene.claim(1)
    assert claimed.secrets == ["whsec_bmV3ZXI="]
