"""`sluice status`: shows the uploads of a gateway."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from deploy.cli.client import ENDED, SluiceClient
from deploy.cli.formatting import format_bytes, format_ranges, format_seconds, format_time
from deploy.cli.options import json_option, server_option
from schemas.uploads import StageView, UploadView

_REFRESH_SECONDS = 1.0
_COLOURS = {"ready": "green", "failed": "red", "expired": "red", "cancelled": "yellow", "waiting": "yellow"}


@click.command()
@click.argument("upload_id", required=False, metavar="[ID]")
@server_option
@json_option("Print the API's JSON; with --watch, one object per line.")
@click.option("--watch", is_flag=True, help="Keep updating: one upload until it has ended, the list until Ctrl-C.")
@click.option(
    "--status", "wanted", metavar="STATUS", help="Show only uploads in this status (waiting, receiving, ready, ...)."
)
@click.option(
    "--limit",
    default=20,
    show_default=True,
    type=click.IntRange(1, 100),
    help="How many uploads to show, newest first.",
)
def status(upload_id: str | None, server: str, as_json: bool, watch: bool, wanted: str | None, limit: int) -> None:
    """Show the newest uploads, or the upload ID with its stages."""
    show = Screen(as_json=as_json, watch=watch)

    async def run() -> None:
        async with SluiceClient(server) as client:
            if upload_id is None:
                while True:
                    show.uploads((await client.uploads(status=wanted, limit=limit)).items)
                    if not watch:
                        return
                    await asyncio.sleep(_REFRESH_SECONDS)
            async for view in client.watch(upload_id):
                show.upload(view)
                if not watch:
                    return

    with show, contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())


class Screen(contextlib.AbstractContextManager["Screen"]):
    """Shows uploads: printed once, redrawn in place, or as lines of JSON."""

    def __init__(self, *, as_json: bool, watch: bool) -> None:
        self._as_json = as_json
        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False) if watch and not as_json else None

    def __enter__(self) -> Screen:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def uploads(self, views: Sequence[UploadView]) -> None:
        if self._as_json:
            click.echo(json.dumps([view.model_dump(mode="json") for view in views]))
        else:
            self._draw(uploads_table(views))

    def upload(self, view: UploadView) -> None:
        if self._as_json:
            click.echo(view.model_dump_json())
        else:
            self._draw(upload_page(view))

    def _draw(self, what: RenderableType) -> None:
        if self._live is None:
            self._console.print(what)
        else:
            self._live.update(what, refresh=True)


def uploads_table(views: Sequence[UploadView]) -> RenderableType:
    """A table with one row per upload."""
    if not views:
        return "No uploads."
    table = Table("id", "file", "status", "size", "received", "stored", "created", box=None, pad_edge=False)
    for view in views:
        table.add_row(
            view.id,
            escape(view.filename),
            _status(view),
            format_bytes(view.size),
            _share(view.bytes_received, view.size),
            _share(view.bytes_stored, view.size),
            format_time(view.created_at),
        )
    return table


def upload_page(view: UploadView) -> RenderableType:
    """Everything about one upload."""
    facts = Table.grid(padding=(0, 2))
    facts.add_row("upload", view.id)
    facts.add_row("file", f"{escape(view.filename)} · {view.content_type} · {format_bytes(view.size)}")
    facts.add_row("status", _status(view))
    received, stored = _share(view.bytes_received, view.size), _share(view.bytes_stored, view.size)
    facts.add_row(
        "segments", f"{view.segment_count} of {format_bytes(view.segment_size)} · received {received}, stored {stored}"
    )
    if view.missing_segments and view.status not in ENDED:
        facts.add_row("missing", format_ranges(view.missing_segments))
    if view.expires_at is not None:
        facts.add_row("expires", f"{format_time(view.expires_at)}, unless another segment arrives")
    if view.error is not None:
        facts.add_row("error", f"[red]{escape(view.error.message)}[/] \\[{view.error.code}]")
    if view.content_id is not None:
        facts.add_row("content", view.content_id)
    stages = Table("stage", "state", "attempts", "took", "error", box=None, pad_edge=False)
    for name, stage in view.stages.items():
        stages.add_row(name, stage.state, str(stage.attempts), format_seconds(_took(stage)), stage.error_code or "")
    return Group(facts, "", stages)


def _status(view: UploadView) -> str:
    colour = _COLOURS.get(view.status, "cyan")
    place = f", number {view.queue_position} in the queue" if view.queue_position else ""
    return f"[{colour}]{view.status}[/]{place}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part // whole} %"


def _took(stage: StageView) -> float | None:
    if stage.started_at is None or stage.finished_at is None:
        return None
    return (stage.finished_at - stage.started_at).total_seconds()
