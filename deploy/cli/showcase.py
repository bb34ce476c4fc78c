"""What `sluice up` prints: the addresses of everything that runs, and the result of an upload."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from deploy.cli.client import SluiceClient
from deploy.cli.content_page import content_lines
from deploy.cli.displays import display_for
from deploy.cli.errors import ClientError
from deploy.cli.formatting import format_seconds
from deploy.cli.processes import GATEWAY, SluiceProcesses
from deploy.cli.resume import ResumeStates
from deploy.cli.sample_video import make_sample_video
from deploy.cli.store_access import Access
from deploy.cli.up_access import KEY_FILE
from deploy.cli.uploader import Uploader
from deploy.embedded.ffmpeg import ffmpeg_path


class Showcase:
    """Prints about one run of `sluice up`, and uploads files to its gateway."""

    def __init__(
        self, sluice: SluiceProcesses, environment: Mapping[str, str], key: str, directory: Path, console: Console
    ) -> None:
        self._sluice = sluice
        self._environment = environment
        self._key = key
        self._access = Access(environment)
        self._directory = directory
        self._console = console

    def print_banner(self, servers: Mapping[str, int], environment_file: Path, seconds: float) -> None:
        """Print the URLs and the commands to try next; `environment_file` as `deploy.cli.environment_file` wrote it."""
        url = self._sluice.url
        self._print(f"[green]Sluice is up[/] after {format_seconds(seconds)}; press Ctrl-C to stop it.\n")
        metrics = [(self._sluice.metrics_url(name), name) for name in self._sluice.pids()]
        self._print_all(
            [
                ("upload a file", self._page("upload")),
                ("dashboard", self._page("dashboard")),
                ("documentation", f"{url}/docs"),
                ("API", f"{url}/v1/uploads"),
                (
                    "key",
                    f"in {shlex.quote(str(self._directory / KEY_FILE))}; also the password for /docs in a browser",
                ),
                *(("metrics" if name == GATEWAY else "", f"{address}  {name}") for address, name in metrics),
                *self._access.lines(),
                ("servers", ", ".join(servers) or "none: all are your own"),
                ("directory", str(self._directory)),
                ("environment", f". {shlex.quote(str(environment_file))}"),
                ("", "in a shell; then these commands, `sluice doctor`, redis-cli and psql use these servers"),
                ("send a file", "sluice upload FILE"),
                ("watch uploads", "sluice status --watch"),
                ("send requests", 'curl -H "Authorization: Bearer $SLUICE_KEY" "$SLUICE_SERVER/v1/uploads"'),
            ]
        )
        self._print("")

    async def send(self, own_file: Path | None, *, serves_on: bool) -> bool:
        """Upload a file (the sample when None), showing its progress and then the content; if the servers are to run
        on (`serves_on`), also how to download it. True only if it became ready."""
        path = own_file
        if path is None:
            path = self._directory / "sample.mp4"
            self._print("Creating a sample video with ffmpeg")
            await asyncio.to_thread(make_sample_video, ffmpeg_path(), path)
        display = display_for(self._console)
        async with SluiceClient(self._sluice.url, key=self._key) as client:
            # The states belong in the run's directory, because the stack they refer to is deleted with it.
            uploader = Uploader(client, ResumeStates(self._directory / "uploads"), observe=display.observe)
            try:
                with display:
                    outcome = await uploader.send(path)
                    display.ended(outcome)
            except ClientError as error:
                display.failed(path, error.code, str(error))
                return False
        if outcome.content is None:
            return False
        target = Path(outcome.content.filename)
        self._print("")
        self._print_all(content_lines(outcome.content))
        if serves_on and outcome.content.object.store == "swift":
            stored = outcome.content.object
            command = self._access.swift_command("download", stored.container, stored.key, "--output", str(target))
            self._print(f"\nDownload it with\n  {escape(command)}")
        return outcome.view.status == "ready"

    def _page(self, name: str) -> str:
        """The address of a page, with the key in its fragment, which browsers do not send. A terminal shows it to its
        user only; a log file may have other readers, so there the key is left out."""
        address = f"{self._sluice.url}/{name}"
        return f"{address}#key={self._key}" if self._console.is_terminal else address

    def _print_all(self, lines: Iterable[tuple[str, str]]) -> None:
        for name, text in lines:
            self._print(f"  [bold]{escape(name):<15}[/] {escape(text)}")

    def _print(self, line: str) -> None:
        # soft_wrap: URLs and commands are for copying, so rich must not insert line breaks.
        self._console.print(line, highlight=False, soft_wrap=True)
