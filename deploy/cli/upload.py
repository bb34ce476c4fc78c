"""`sluice upload`: sends files to a gateway and waits until each upload has ended."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from deploy.cli.client import SluiceClient
from deploy.cli.errors import ClientError
from deploy.cli.options import json_option, server_option
from deploy.cli.progress import BarDisplay, Display, JsonDisplay
from deploy.cli.resume import ResumeStates
from deploy.cli.segment_file import DigestName
from deploy.cli.uploader import Uploader, UploaderOptions

_INTERRUPTED = 130


@click.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
)
@server_option
@json_option("Print one JSON object per line: every event, and how each file ended.")
@click.option(
    "--concurrency",
    default=4,
    show_default=True,
    type=click.IntRange(1, 64),
    help="How many segments to send at once, over all files.",
)
@click.option(
    "--content-type", metavar="TYPE/SUBTYPE", help="Content type of all FILES. By default it is guessed from each name."
)
@click.option(
    "--metadata", multiple=True, metavar="KEY=VALUE", help="Stored with the content. Can be given several times."
)
@click.option(
    "--digest",
    type=click.Choice(["sha-256", "md5", "none"]),
    default="sha-256",
    show_default=True,
    help="Digest sent with every segment and verified by the gateway. sha-256 is the fastest on current CPUs.",
)
def upload(
    files: tuple[Path, ...],
    server: str,
    as_json: bool,
    concurrency: int,
    content_type: str | None,
    metadata: tuple[str, ...],
    digest: DigestName,
) -> None:
    """Send FILES to a gateway and wait until each is ready.

    Segments are sent in parallel, each with its digest, and repeated after transient errors. After an interruption
    (Ctrl-C, a lost connection, a crash) run the same command again to continue.

    The exit status is 0 only if every file became ready.
    """
    options = UploaderOptions(concurrency, digest, content_type, dict(_pair(item) for item in metadata))
    display: Display = JsonDisplay() if as_json else BarDisplay()
    states = ResumeStates.of_user()
    states.sweep()

    async def run() -> bool:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is not None:
            loop.add_signal_handler(signal.SIGTERM, task.cancel)
        async with SluiceClient(server, connections=concurrency) as client:
            uploader = Uploader(client, states, options, observe=display.observe)
            return await send_all(uploader, display, list(dict.fromkeys(files)), concurrency)

    try:
        with display:
            all_ready = asyncio.run(run())
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo("Interrupted. The server keeps what was sent: run the same command again to continue.", err=True)
        sys.exit(_INTERRUPTED)
    sys.exit(0 if all_ready else 1)


async def send_all(uploader: Uploader, display: Display, files: Sequence[Path], at_once: int) -> bool:
    """Send every file, `at_once` at a time. A file that fails does not stop the others. True when all became ready."""
    slots = asyncio.Semaphore(at_once)

    async def send(path: Path) -> bool:
        async with slots:
            try:
                outcome = await uploader.send(path)
            except (ClientError, OSError) as error:
                display.failed(path, error)
                return False
            display.ended(outcome)
            return outcome.view.status == "ready"

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(send(path)) for path in files]
    return all(task.result() for task in tasks)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.BadParameter(f"{text!r} is not of the form KEY=VALUE", param_hint="--metadata")
    return key, value
