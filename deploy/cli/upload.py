"""`sluice upload`: sends files to a gateway and waits until each upload has ended."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import click
from rich.console import Console

from deploy.cli.client import SluiceClient
from deploy.cli.displays import display_for
from deploy.cli.errors import ClientError
from deploy.cli.failures import failure_code, sentence
from deploy.cli.names import shown
from deploy.cli.options import json_option, key_option, server_option
from deploy.cli.output import OutputError
from deploy.cli.progress import Display, JsonDisplay
from deploy.cli.resume import ResumeStates
from deploy.cli.segment_file import DigestName, SegmentFile
from deploy.cli.uploader import Uploader, UploaderOptions
from pipeline.tracing import exporting

_INTERRUPTED = 130


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@server_option
@key_option
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
    type=click.Choice(["crc32c", "sha-256", "md5", "none"]),
    default="crc32c",
    show_default=True,
    help="Digest sent with every segment and verified by the gateway. crc32c costs least and finds damage; sha-256 "
    "also finds changes on purpose; md5 is verified by an object store that compares it (Swift, S3), which spares the "
    "server most of its work on each byte and costs this command more.",
)
@click.option(
    "--traces",
    envvar="SLUICE_TRACES",
    show_envvar=True,
    type=click.Choice(["off", "otlp"]),
    default="off",
    show_default=True,
    help="otlp: send a span of each file to the OpenTelemetry collector that OTEL_EXPORTER_OTLP_ENDPOINT names; needs "
    "sluice[otel].",
)
def upload(
    files: tuple[Path, ...],
    server: str,
    key: str | None,
    as_json: bool,
    concurrency: int,
    content_type: str | None,
    metadata: tuple[str, ...],
    digest: DigestName,
    traces: Literal["off", "otlp"],
) -> None:
    """Send FILES to a gateway and wait until each is ready.

    Several files are sent at a time, in segments, each with its digest; transient errors are repeated. A file that
    cannot be sent is reported in one line and does not stop the others. After an interruption (Ctrl-C, a lost
    connection, a crash) run the same command again to continue.

    The exit status is 0 only if every file became ready.
    """
    options = UploaderOptions(concurrency, digest, content_type, dict(_pair(item) for item in metadata))
    display: Display = JsonDisplay() if as_json else display_for(Console(stderr=True))
    states = ResumeStates.of_user()
    states.sweep()
    if states.problem is not None:
        click.echo(f"Warning: an interrupted upload cannot be resumed: {states.problem}", err=True)

    async def run() -> bool:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is not None:
            loop.add_signal_handler(signal.SIGTERM, task.cancel)
        async with (
            exporting(traces, "sluice-upload"),
            SluiceClient(server, key=key, connections=concurrency + options.files_at_once) as client,
        ):
            return await send_all(client, Uploader(client, states, options, observe=display.observe), display, files)

    try:
        with display:
            all_ready = asyncio.run(run())
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo("Interrupted. The server keeps what was sent: run the same command again to continue.", err=True)
        sys.exit(_INTERRUPTED)
    sys.exit(0 if all_ready else 1)


async def send_all(client: SluiceClient, uploader: Uploader, display: Display, files: Sequence[Path]) -> bool:
    """Send every file. A file that fails does not stop the others. True when all became ready.

    Files that cannot be read are reported before anything is sent. A server that does not respond, or is not Sluice,
    is asked once and not again for each file.
    """
    usable, all_usable = _usable(files, display)
    if not usable:
        return False
    display.expect(len(usable), sum(usable.values()))
    try:
        await client.uploads(limit=1)
    except ClientError as error:
        for path in usable:
            display.failed(path, error.code, str(error))
        return False

    async def send(path: Path) -> bool:
        try:
            outcome = await uploader.send(path)
        except OutputError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever is wrong with one file must not stop the others
            display.failed(path, failure_code(error), sentence(error))
            return False
        display.ended(outcome)
        return outcome.view.status == "ready"

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(send(path)) for path in usable]
    return all(task.result() for task in tasks) and all_usable


def _usable(files: Sequence[Path], display: Display) -> tuple[dict[Path, int], bool]:
    """(sizes of the files to send, whether all files can be sent). A file that is named twice is sent once."""
    sizes: dict[Path, int] = {}
    first_names: dict[Path, Path] = {}
    all_usable = True
    for path in files:
        try:
            with SegmentFile(path) as file:
                size_bytes, where = file.stat.st_size, path.resolve()
        except (ClientError, OSError) as error:
            display.failed(path, failure_code(error), sentence(error))
            all_usable = False
            continue
        if where in first_names:
            display.skipped(path, f"the same file as {shown(first_names[where])}, which is sent once")
        else:
            first_names[where] = path
            sizes[path] = size_bytes
    return sizes, all_usable


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.BadParameter(f"{shown(text)!r} is not of the form KEY=VALUE", param_hint="--metadata")
    return key, value
