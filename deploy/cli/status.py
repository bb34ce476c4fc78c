"""`sluice status`: shows the uploads of a gateway."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterable, Sequence

import click
from rich.console import Console, RenderableType
from rich.live import Live

from deploy.cli.client import SluiceClient
from deploy.cli.errors import ClientError
from deploy.cli.options import json_option, key_option, server_option
from deploy.cli.output import on_terminal, print_line
from deploy.cli.status_text import upload_line, upload_lines, upload_page, uploads_table
from deploy.cli.upload_ids import find_upload_id, not_responding
from pipeline.core.lifecycle import Status
from pipeline.core.retry import RetryPolicy
from schemas.uploads import UploadView

_REFRESH_SECONDS = 1.0
_ONCE = RetryPolicy(max_attempts=1, base_seconds=0.0, cap_seconds=0.0)


@click.command()
@click.argument("upload_id", required=False, metavar="[ID]")
@server_option
@key_option
@json_option("Print the API's JSON; with --watch, one object per line.")
@click.option("--watch", is_flag=True, help="Keep updating: one upload until it has ended, the list until Ctrl-C.")
@click.option(
    "--status",
    "wanted",
    type=click.Choice([str(status) for status in Status], case_sensitive=False),
    metavar="STATUS",
    help=f"Show only uploads in this status: {', '.join(Status)}.",
)
@click.option(
    "--limit",
    default=20,
    show_default=True,
    type=click.IntRange(1, 100),
    help="How many uploads to show, newest first.",
)
def status(
    upload_id: str | None, server: str, key: str | None, as_json: bool, watch: bool, wanted: str | None, limit: int
) -> None:
    """Show the newest uploads, or the upload ID with its stages. The beginning of an ID is enough if it is unique.

    Without a terminal, each upload is one line of fields separated by tabs: id, status, size, received, stored,
    created, file.
    """
    show = Screen(as_json=as_json, watch=watch)

    async def run() -> None:
        async with SluiceClient(server, key=key) as client:
            if upload_id is None:
                if await _is_drained(server):
                    click.echo("This cell is drained: it takes no new uploads (sluice drain).", err=True)
                unreachable: list[int] = []
                while True:
                    page = await client.uploads(status=wanted, limit=limit)
                    if page.unreachable_cells and page.unreachable_cells != unreachable:
                        click.echo(f"{not_responding(page.unreachable_cells)}: uploads are missing here.", err=True)
                    unreachable = page.unreachable_cells
                    show.uploads(page.items)
                    if not watch:
                        return
                    await asyncio.sleep(_REFRESH_SECONDS)
            found = await find_upload_id(client, upload_id)
            async with contextlib.aclosing(client.watch(found)) as views:
                async for view in views:
                    show.upload(view)
                    if not watch:
                        return

    stops_by_interrupt = contextlib.suppress(KeyboardInterrupt) if watch else contextlib.nullcontext()
    with show, stops_by_interrupt:
        asyncio.run(run())


async def _is_drained(server: str) -> bool:
    """As /readyz says; asked once, since a gateway that is not ready serves lists all the same."""
    async with SluiceClient(server, policy=_ONCE) as client:
        try:
            ready = await client.readiness()
        except ClientError:
            return False
    return ready.room is not None and ready.room.draining


class Screen(contextlib.AbstractContextManager["Screen"]):
    """Shows uploads: as tables on a terminal, redrawn in place; as lines elsewhere, each time they change; as JSON."""

    def __init__(self, *, as_json: bool, watch: bool) -> None:
        self._as_json = as_json
        self._watch = watch
        self._console = Console()
        self._plain = not on_terminal(self._console)
        redraw = watch and not as_json and not self._plain
        self._live = Live(console=self._console, auto_refresh=False) if redraw else None
        self._printed: set[str] = set()

    def __enter__(self) -> Screen:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def uploads(self, views: Sequence[UploadView]) -> None:
        if self._as_json:
            print_line(json.dumps([view.model_dump(mode="json") for view in views]))
        elif self._plain:
            self._print(map(upload_line, views) if views or self._watch else ["No uploads."])
        else:
            self._draw(uploads_table(views, self._console))

    def upload(self, view: UploadView) -> None:
        if self._as_json:
            print_line(view.model_dump_json())
        elif self._plain:
            self._print([upload_line(view)] if self._watch else upload_lines(view))
        else:
            self._draw(upload_page(view, self._console))

    def _print(self, lines: Iterable[str]) -> None:
        """Print the lines that differ from all of the last time."""
        now = list(lines)
        for line in now:
            if line not in self._printed:
                print_line(line)
        self._printed = set(now)

    def _draw(self, what: RenderableType) -> None:
        if self._live is None:
            self._console.print(what)
        else:
            self._live.update(what, refresh=True)
