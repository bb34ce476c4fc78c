"""`sluice webhook test`, `deliveries` and `replay`: what webhooks were sent, and what they are sent again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import click

from deploy.cli.names import shown
from deploy.cli.options import json_option
from deploy.cli.webhook_options import event_option, id_argument, owner_option, run, validated
from deploy.cli.webhook_text import delivery_row, print_rows, state_of

if TYPE_CHECKING:  # imported only where a command needs the database, so that --help is fast
    from pipeline.webhooks.service import Webhooks
    from schemas.webhooks import Webhook, WebhookDelivery

_POLL_SECONDS: Final = 0.2


@click.command()
@id_argument
@click.option(
    "--timeout",
    "timeout_seconds",
    type=click.FloatRange(0, 3600),
    default=30,
    show_default=True,
    help="Seconds to wait for the first attempt to end; 0: do not wait.",
)
@json_option("Print the delivery as one JSON object.")
def test(webhook_id: str, timeout_seconds: float, as_json: bool) -> None:
    """Send an event of type webhook.test, and wait until it is delivered.

    The exit status is 1 if the first attempt fails, or does not end in time. The event is repeated as any other.
    """
    webhook, delivery = run(lambda webhooks: _test(webhooks, webhook_id, timeout_seconds))
    if as_json:
        click.echo(delivery.model_dump_json())
    if delivery.state == "delivered":
        if not as_json:
            click.echo(f"Delivered to {shown(webhook.url)}: it responded {delivery.status}.")
    elif timeout_seconds == 0:
        if not as_json:
            click.echo(f"Delivery {delivery.id} is queued; `sluice webhook deliveries {webhook.id}` shows it.")
    else:
        raise click.ClickException(_what_is_wrong(webhook, delivery, timeout_seconds))


@click.command()
@id_argument
@click.option("--state", type=click.Choice(["pending", "delivered", "failed"]), help="Only deliveries in this state.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="List no more than so many."
)
@json_option("Print one JSON object per line.")
def deliveries(webhook_id: str, state: str | None, limit: int, as_json: bool) -> None:
    """List the deliveries of a webhook, newest first."""
    found = run(lambda webhooks: webhooks.deliveries(webhook_id, None, state, None, limit))
    print_rows(found, delivery_row, as_json)


@click.command()
@id_argument
@click.option("--delivery", "chosen", multiple=True, type=int, help="Only the event of this delivery; several times.")
@click.option(
    "--state", type=click.Choice(["delivered", "failed"]), help="Only events whose last delivery is in this state."
)
@event_option("Only events of this type. Can be given several times.")
@click.option("--upload", metavar="UPLOAD_ID", help="Only events of this upload.")
@click.option("--since", metavar="TIME", help="Only events from this time on, such as 2026-01-31T12:00:00Z.")
@click.option("--until", metavar="TIME", help="Only events before this time.")
@click.option(
    "--contents",
    is_flag=True,
    help="Instead of events that are kept: content.ready of each content that the webhook was never sent.",
)
@owner_option("With --contents: only contents of this owner.")
@json_option("Print one JSON object.")
def replay(
    webhook_id: str,
    chosen: tuple[int, ...],
    state: str | None,
    events: tuple[str, ...],
    upload: str | None,
    since: str | None,
    until: str | None,
    contents: bool,
    owner: str | None,
    as_json: bool,
) -> None:
    """Deliver events again that match all options, oldest first: without an option every event that is kept.

    They keep their ids, so a receiver that ignores repeats by `webhook-id` ignores those that it has processed.

    With --contents, a webhook receives content.ready of contents that were stored before it existed, up to 1,000 in
    one run.
    """
    from schemas.webhooks import WebhookReplay

    wanted = validated(
        WebhookReplay,
        deliveries=list(chosen),
        state=state,
        events=list(events),
        upload_id=upload,
        since=since,
        until=until,
        contents=contents,
        owner=owner,
    )
    queued = run(lambda webhooks: webhooks.replay(webhook_id, None, wanted))
    if as_json:
        click.echo(queued.model_dump_json())
        return
    click.echo(f"{queued.queued} events are delivered{'' if contents else ' again'}.")
    if queued.more:
        click.echo("More events match; run the command again when these are delivered.", err=True)


async def _test(webhooks: Webhooks, webhook_id: str, timeout_seconds: float) -> tuple[Webhook, WebhookDelivery]:
    """The webhook, and the delivery when its first attempt has ended, or as far as it is when the time is over."""
    delivery = await webhooks.test(webhook_id, None)
    webhook = await webhooks.get(webhook_id, None)
    if webhook.state == "paused":
        return webhook, delivery
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout_seconds
    while loop.time() < until and not _has_ended(delivery):
        await asyncio.sleep(_POLL_SECONDS)
        found = await webhooks.deliveries(webhook_id, None, None, delivery.id + 1, 1)
        if not found or found[0].id != delivery.id:
            raise click.ClickException("The webhook was deleted meanwhile.")
        delivery = found[0]
    return await webhooks.get(webhook_id, None), delivery


def _has_ended(delivery: WebhookDelivery) -> bool:
    """Whether the first attempt has."""
    return delivery.state != "pending" or delivery.error is not None


def _what_is_wrong(webhook: Webhook, delivery: WebhookDelivery, timeout_seconds: float) -> str:
    if delivery.error is not None:
        return f"The attempt failed: {shown(delivery.error)}. It is repeated."
    if webhook.state == "paused":
        resume = f"`sluice webhook resume {webhook.id}`"
        return f"The webhook is {state_of(webhook)}, and the test is queued: {resume} sends it."
    if delivery.attempts:
        return f"The attempt has not ended within {timeout_seconds:g} s."
    if webhook.state == "failing":
        return (
            f"The test has not been sent within {timeout_seconds:g} s, because the webhook fails and is tried less "
            f"often: {shown(webhook.last_error or 'its last attempt failed')}."
        )
    return (
        f"No worker has taken the test within {timeout_seconds:g} s; it stays queued. "
        "Does a worker of type notify run (`sluice worker notify`)?"
    )
