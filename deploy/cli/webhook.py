"""`sluice webhook`: creates, shows, changes and deletes webhooks, in the database of the settings.

`deploy.cli.webhook_deliveries` has the commands that deal with deliveries.
"""

from __future__ import annotations

from typing import Any

import click

from deploy.cli.names import shown
from deploy.cli.options import json_option
from deploy.cli.webhook_deliveries import deliveries, replay, test
from deploy.cli.webhook_options import event_option, id_argument, owner_option, run, validated
from deploy.cli.webhook_text import print_facts, print_rows, webhook_facts, webhook_row

_ONE_OBJECT = "Print one JSON object."
_PAGE = 200


@click.group()
def webhook() -> None:
    """Manage webhooks, in the database at SLUICE_DATABASE_URL.

    A webhook is a URL that is notified of uploads by signed POST requests (Standard Webhooks). A worker of type notify
    sends them: see docs/webhooks.md.
    """


for _command in (test, deliveries, replay):
    webhook.add_command(_command)


@webhook.command()
@click.argument("url")
@owner_option("Notify it of this owner's uploads. By default it is notified of every owner's.")
@event_option("What it is notified of. Can be given several times; by default every event.")
@click.option("--note", default="", help="What the webhook is for; `sluice webhook list` shows it.")
@json_option(_ONE_OBJECT)
def create(url: str, owner: str | None, events: tuple[str, ...], note: str, as_json: bool) -> None:
    """Create a webhook and print the secret that signs its deliveries. The secret is not shown again."""
    from schemas.webhooks import WebhookRequest, WebhookSecret

    wanted = validated(WebhookRequest, url=url, owner=owner, events=list(events), note=note)
    made, secret = run(lambda webhooks: webhooks.create(wanted.owner, wanted.url, wanted.events, wanted.note))
    _print_secret(WebhookSecret(webhook=made, secret=secret), as_json)


@webhook.command("list")
@owner_option("Only webhooks of this owner.")
@json_option("Print one JSON object per line.")
def list_(owner: str | None, as_json: bool) -> None:
    """List webhooks, newest first, with the outcome of their last attempts."""
    from gateway.api.views import microseconds

    async def collect(webhooks: Any) -> list[Any]:
        found: list[Any] = []
        page = await webhooks.page(owner, None, _PAGE)
        while page:
            found.extend(page)
            last = page[-1]
            page = await webhooks.page(owner, (microseconds(last.created_at), last.id), _PAGE)
        return found

    print_rows(run(collect), webhook_row, as_json)


@webhook.command()
@id_argument
@json_option(_ONE_OBJECT)
def show(webhook_id: str, as_json: bool) -> None:
    """Show a webhook: its state, and why its last attempt failed."""
    print_facts(run(lambda webhooks: webhooks.get(webhook_id, None)), webhook_facts, as_json)


@webhook.command()
@id_argument
@click.option("--url", help="Its new URL.")
@event_option("What it is notified of from now on. Can be given several times.")
@click.option("--all-events", is_flag=True, help="Notify it of every event from now on.")
@click.option("--note", help="What it is for.")
@json_option(_ONE_OBJECT)
def change(
    webhook_id: str, url: str | None, events: tuple[str, ...], all_events: bool, note: str | None, as_json: bool
) -> None:
    """Change a webhook; what is not given stays as it is. Its secret stays, too: see `sluice webhook rotate`."""
    from schemas.webhooks import WebhookChange

    if all_events and events:
        raise click.UsageError("Give either --event or --all-events.")
    if not (url is not None or events or all_events or note is not None):
        raise click.UsageError("Give what to change: --url, --event, --all-events or --note.")
    chosen = list(events) if events or all_events else None
    wanted = validated(WebhookChange, url=url, events=chosen, note=note)
    changed = run(
        lambda webhooks: webhooks.change(webhook_id, None, url=wanted.url, events=wanted.events, note=wanted.note)
    )
    print_facts(changed, webhook_facts, as_json)


@webhook.command()
@id_argument
@click.option(
    "--overlap-seconds",
    type=click.IntRange(0, 7 * 24 * 3600),
    default=24 * 3600,
    show_default=True,
    help="For how long deliveries are signed with the previous secret, too.",
)
@json_option(_ONE_OBJECT)
def rotate(webhook_id: str, overlap_seconds: int, as_json: bool) -> None:
    """Replace the secret of a webhook and print the new one. It is not shown again."""
    from schemas.webhooks import WebhookSecret

    changed, secret = run(lambda webhooks: webhooks.rotate(webhook_id, None, overlap_seconds))
    _print_secret(WebhookSecret(webhook=changed, secret=secret), as_json)


@webhook.command()
@id_argument
@json_option(_ONE_OBJECT)
def pause(webhook_id: str, as_json: bool) -> None:
    """Send nothing to a webhook until it is resumed. Events still wait for it, for three days."""
    _set_paused(webhook_id, True, as_json)


@webhook.command()
@id_argument
@json_option(_ONE_OBJECT)
def resume(webhook_id: str, as_json: bool) -> None:
    """Send what waits for a webhook again, also after it was paused because it kept failing."""
    _set_paused(webhook_id, False, as_json)


@webhook.command()
@id_argument
@json_option(_ONE_OBJECT)
def delete(webhook_id: str, as_json: bool) -> None:
    """Delete a webhook with its deliveries. Those that wait are not sent."""

    async def remove(webhooks: Any) -> Any:
        found = await webhooks.get(webhook_id, None)
        await webhooks.remove(webhook_id, None)
        return found

    removed = run(remove)
    click.echo(removed.model_dump_json() if as_json else f"Webhook {removed.id} is deleted.")


def _set_paused(webhook_id: str, paused: bool, as_json: bool) -> None:
    changed = run(lambda webhooks: webhooks.change(webhook_id, None, paused=paused))
    if as_json:
        click.echo(changed.model_dump_json())
    else:
        click.echo(f"Webhook {changed.id} is {changed.state}; {changed.pending} deliveries wait.")


def _print_secret(made: Any, as_json: bool) -> None:
    if as_json:
        click.echo(made.model_dump_json())
    else:
        click.echo(f"Webhook {made.webhook.id} to {shown(made.webhook.url)}; its secret is not shown again:", err=True)
        click.echo(made.secret)
