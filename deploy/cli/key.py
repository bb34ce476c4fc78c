"""`sluice key`: creates, lists and revokes API keys, in the database of the settings."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from deploy.cli.names import shown
from deploy.cli.options import json_option
from deploy.cli.output import on_terminal, print_line
from pipeline.core.access import Scope
from schemas.owners import OWNER_PATTERN

if TYPE_CHECKING:  # imported only where a command needs the database, so that --help is fast
    from pipeline.ports.access import ApiKey, ApiKeyRepository

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LONGEST_SECONDS = 5200 * _UNITS["w"]  # a century, which is within what the database and Python can count


def _owner(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(OWNER_PATTERN, value):
        raise click.BadParameter("1 to 128 letters, digits and any of . _ @ + : | / -, first a letter or digit")
    return value


def _duration(ctx: click.Context, param: click.Parameter, value: str) -> timedelta | None:
    if value == "never":
        return None
    found = re.fullmatch(r"([1-9]\d{0,5})([smhdw])", value)
    if found is None:
        raise click.BadParameter("a number and a unit, such as 90d, 12h or 30m; or never")
    seconds = int(found[1]) * _UNITS[found[2]]
    if seconds > _LONGEST_SECONDS:
        raise click.BadParameter("at most 5200w; or never")
    return timedelta(seconds=seconds)


@click.group()
def key() -> None:
    """Manage API keys, in the database at SLUICE_DATABASE_URL.

    Clients send a key as `Authorization: Bearer KEY`. Gateways accept a new key at once, and refuse a revoked one after
    five seconds at the latest.
    """


@key.command()
@click.option("--owner", required=True, callback=_owner, help="Name to which the uploads made with this key belong.")
@click.option(
    "--scope",
    "scopes",
    required=True,
    multiple=True,
    type=click.Choice([str(scope) for scope in Scope]),
    help="upload: create, send and cancel the owner's uploads, delete its contents, manage its webhooks. read: show "
    "its uploads, list and download its contents. operate: show, cancel and delete what any owner has, manage every "
    "webhook, import objects, read metrics. Can be given several times.",
)
@click.option(
    "--expires",
    default="never",
    show_default=True,
    callback=_duration,
    help="Validity of the key, such as 90d, 12h or 30m; or never.",
)
@click.option("--note", default="", help="What the key is for; `sluice key list` shows it.")
@json_option("Print one JSON object.")
def create(owner: str, scopes: tuple[str, ...], expires: timedelta | None, note: str, as_json: bool) -> None:
    """Create a key and print it. Keep it: the database has only a hash, so it cannot be shown again."""
    from pipeline.access.key_ring import new_key

    if not note.isprintable() or len(note) > 200:
        raise click.BadParameter("at most 200 printable characters", param_hint="--note")
    key_id, text, digest = new_key()

    async def run() -> ApiKey:
        async with _repository() as keys:
            until = None if expires is None else datetime.now(UTC) + expires
            return await keys.add(key_id, owner, frozenset(map(Scope, scopes)), note, digest, until)

    made = asyncio.run(run())
    if as_json:
        click.echo(json.dumps({**_data(made), "key": text}))
    else:
        click.echo(f"Key {key_id} of {owner}; it is not shown again:", err=True)
        click.echo(text)


@key.command("list")
@click.option("--owner", callback=_owner, help="Only keys of this owner.")
@json_option("Print one JSON object per line.")
def list_(owner: str | None, as_json: bool) -> None:
    """List keys, also expired and revoked ones, oldest first."""

    async def run() -> Sequence[ApiKey]:
        async with _repository() as keys:
            return await keys.all(owner)

    found = [_data(item) for item in asyncio.run(run())]
    console = Console()
    if as_json:
        for item in found:
            click.echo(json.dumps(item))
    elif not on_terminal(console):
        for item in found:
            print_line("\t".join(str(value) for value in item.values()))
    elif found:
        table = Table(*found[0])
        for item in found:
            table.add_row(*(shown(str(value)) for value in item.values()))
        console.print(table)


@key.command()
@click.argument("key_id", metavar="ID")
def revoke(key_id: str) -> None:
    """Revoke a key. After five seconds no gateway accepts it, nor tokens requested with it."""

    async def run() -> ApiKey | None:
        async with _repository() as keys:
            return await keys.revoke(key_id)

    if asyncio.run(run()) is None:
        raise click.ClickException(f"There is no key {shown(key_id)}; `sluice key list` shows the ids.")
    click.echo(f"Key {key_id} is revoked.")


@asynccontextmanager
async def _repository() -> AsyncIterator[ApiKeyRepository]:
    from pipeline.bootstrap.access import api_keys
    from pipeline.settings import Settings

    async with api_keys(Settings()) as keys:
        yield keys


def _data(item: ApiKey) -> dict[str, Any]:
    return {
        "id": item.key_id,
        "owner": item.owner,
        "scopes": " ".join(sorted(item.scopes)),
        "state": _state(item),
        "created": item.created_at.isoformat(timespec="seconds"),
        "expires": item.expires_at.isoformat(timespec="seconds") if item.expires_at else "never",
        "note": item.note,
    }


def _state(item: ApiKey) -> str:
    if item.revoked_at is not None:
        return "revoked"
    return "expired" if item.expires_at is not None and item.expires_at <= datetime.now(UTC) else "valid"
