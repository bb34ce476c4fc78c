"""Webhooks and deliveries as text: tables for terminals, lines with tabs for programs, JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import click
from rich.console import Console
from rich.table import Table

from deploy.cli.formatting import format_time
from deploy.cli.names import shown
from deploy.cli.output import on_terminal, print_line

if TYPE_CHECKING:
    from pydantic import BaseModel

    from schemas.webhooks import Webhook, WebhookDelivery

M = TypeVar("M", bound="BaseModel")
Row = Mapping[str, str]

_EVERYBODY = "every owner"
_EVERY_EVENT = "every event"


def print_rows(items: Sequence[M], row: Callable[[M], Row], as_json: bool) -> None:
    """One line for each item. Raises OutputError."""
    if as_json:
        for item in items:
            print_line(item.model_dump_json())
        return
    rows = [{name: shown(text) for name, text in row(item).items()} for item in items]
    console = Console()
    if not on_terminal(console):
        for fields in rows:
            print_line("\t".join(fields.values()))
    elif rows:
        table = Table(*rows[0])
        for fields in rows:
            table.add_row(*fields.values())
        console.print(table, markup=False)


def print_facts(item: M, facts: Callable[[M], Row], as_json: bool) -> None:
    """One line for each fact. Raises OutputError."""
    if as_json:
        print_line(item.model_dump_json())
        return
    for name, text in facts(item).items():
        click.echo(f"{name:<16} {shown(text)}")


def webhook_row(item: Webhook) -> Row:
    return {
        "id": item.id,
        "owner": item.owner or _EVERYBODY,
        "state": state_of(item),
        "waiting": str(item.pending),
        "url": item.url,
        "events": " ".join(item.events) or _EVERY_EVENT,
        "note": item.note,
    }


def webhook_facts(item: Webhook) -> Row:
    return {
        **webhook_row(item),
        "created": format_time(item.created_at),
        "last success": format_time(item.last_success_at),
        "failures": str(item.failures),
        "failing since": format_time(item.failing_since),
        "last error": item.last_error or "-",
        "previous secret": f"signs until {format_time(item.previous_secret_until)}"
        if item.previous_secret_until
        else "-",
    }


def delivery_row(item: WebhookDelivery) -> Row:
    return {
        "id": str(item.id),
        "event": item.type,
        "upload": item.upload_id,
        "state": item.state,
        "attempts": str(item.attempts),
        "created": format_time(item.created_at),
        "next": format_time(item.due_at),
        "status": "-" if item.status is None else str(item.status),
        "error": item.error or "-",
    }


def state_of(item: Webhook) -> str:
    """Its state, with the reason of a pause."""
    return f"{item.state} ({item.pause_reason})" if item.pause_reason else item.state
