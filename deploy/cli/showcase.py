"""What `sluice up` shows of itself: where everything is, and what became of a file that went through it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import click
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from deploy.cli.client import SluiceClient
from deploy.cli.content_page import content_page, swift_download_command
from deploy.cli.errors import ClientError
from deploy.cli.processes import GATEWAY, SluiceProcesses
from deploy.cli.progress import BarDisplay
from deploy.cli.resume import ResumeStates
from deploy.cli.sample_video import make_sample_video
from deploy.cli.uploader import Uploader
from deploy.cli.wording import say_seconds
from deploy.embedded import StackError
from deploy.embedded.servers_venv import servers_python


class Showcase:
    """Speaks to the gateway of one run."""

    def __init__(
        self, sluice: SluiceProcesses, environment: Mapping[str, str], directory: Path, console: Console
    ) -> None:
        self._sluice = sluice
        self._environment = environment
        self._directory = directory
        self._console = console

    def print_banner(self, servers: Mapping[str, int], seconds: float) -> None:
        """URLs, and what to type next."""
        url = self._sluice.url
        lines = Table.grid(padding=(0, 2))
        lines.add_row("API", f"{url}/v1/uploads")
        lines.add_row("documentation", f"{url}/docs")
        for name in self._sluice.pids():
            lines.add_row("metrics" if name == GATEWAY else "", f"{self._sluice.metrics_url(name)}  {name}")
        lines.add_row("Redis", f"redis-cli -u {self._environment['SLUICE_REDIS_URL']}")
        lines.add_row("servers", ", ".join(servers) or "none: all are yours")
        lines.add_row("directory", str(self._directory))
        lines.add_row("send a file", f"sluice upload --server {url} FILE")
        lines.add_row("see what goes on", f"sluice status --server {url} --watch")
        title = f"Sluice is up after {say_seconds(seconds)}; Ctrl-C ends it"
        self._console.print(Panel(lines, title=title, expand=False), highlight=False, soft_wrap=True)

    async def send(self, own_file: Path | None) -> bool:
        """Uploads a file (the sample when None), shows its progress and then the content.

        True only if it became ready.
        """
        path = own_file
        if path is None:
            path = self._directory / "sample.mp4"
            self._console.print("Making a sample video with ffmpeg")
            await asyncio.to_thread(make_sample_video, self._environment["SLUICE_FFMPEG"], path)
        display = BarDisplay(self._console)
        async with SluiceClient(self._sluice.url) as client:
            # States in the run's directory: nothing of a throw-away stack is remembered elsewhere.
            uploader = Uploader(client, ResumeStates(self._directory / "uploads"), observe=display.observe)
            try:
                with display:
                    outcome = await uploader.send(path)
                    display.ended(outcome)
            except (ClientError, OSError) as error:
                display.failed(path, error)
                return False
        if outcome.content is None:
            return False
        target = Path(outcome.content.filename)
        command = swift_download_command(self._environment, _swift_client(), outcome.content.object, target)
        self._console.print()
        self._console.print(content_page(outcome.content), highlight=False, soft_wrap=True)
        self._console.print("\nDownload it with", highlight=False)
        click.echo(f"  {command}")  # as it is, so that it can be copied: a console would wrap it
        return outcome.view.status == "ready"


def _swift_client() -> str:
    """python-swiftclient of the servers' environment, else the one on PATH."""
    try:
        installed = servers_python().parent / "swift"
    except StackError:
        return "swift"
    return str(installed) if installed.exists() else "swift"
