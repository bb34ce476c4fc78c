"""One run of `sluice up`: starts the servers and Sluice's processes, uploads a file if asked, and stops everything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from deploy.cli.environment_file import environment_file
from deploy.cli.log_follower import LogFollower
from deploy.cli.processes import SluiceProcesses
from deploy.cli.showcase import Showcase
from deploy.cli.stop_signals import StopSignals
from deploy.cli.tools import program_directories
from deploy.cli.up_access import own_key, signing_secret
from deploy.embedded import EmbeddedStack, StackOptions
from deploy.embedded.errors import log_tail
from deploy.embedded.layout import Layout
from pipeline.adapters.media.reader import ReaderRules, SandboxedReader
from pipeline.tasks import end_tasks

_WATCH_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class UpOptions:
    """The options of `sluice up`. `own_file` None: the sample video."""

    sends: bool
    own_file: Path | None
    once: bool
    port: int
    workers: Mapping[str, Sequence[str]]
    verbose: bool
    keystone: bool = False

    @property
    def status_when_stopped(self) -> int:
        """0, because Ctrl-C is the normal way to stop it; 1 with --once, because the upload has not ended."""
        return 1 if self.once else 0


class UpRun:
    """Runs in `directory`, which the caller holds. Use it from the main thread only."""

    def __init__(self, directory: Path, options: UpOptions, signals: StopSignals, console: Console) -> None:
        self._layout = Layout(directory)
        self._options = options
        self._signals = signals
        self._console = console
        self._stack = EmbeddedStack(StackOptions(directory, keystone=options.keystone, tempurls=True))
        self._sluice: SluiceProcesses | None = None
        self._expected: Mapping[str, int] = {}
        """The processes that must run, and their ids, as they were when each had started."""

    def to_the_end(self) -> int:
        """Start everything, serve, stop everything. Returns the exit status."""
        began = time.monotonic()
        try:
            names = "Redis, PostgreSQL, Keystone and Swift" if self._options.keystone else "Redis, PostgreSQL and Swift"
            with self._console.status(f"Starting {names}"):
                self._stack.start()
            self._expected = self._pids()
            directory = self._layout.directory
            environment = {"SLUICE_MEDIA_CONFINEMENT": "best-effort", **self._stack.environment()}
            environment["SLUICE_SIGNING_SECRET"] = signing_secret(directory)
            key = asyncio.run(own_key(directory, environment))
            self._sluice = SluiceProcesses(
                self._layout.directory, environment, workers=self._options.workers, port=self._options.port
            )
            with self._console.status("Starting the gateway and the workers"):
                self._sluice.start()
            self._expected = {**self._sluice.pids(), **self._expected}
            showcase = Showcase(self._sluice, environment, key, directory, self._console)
            variables = {**environment, "SLUICE_SERVER": self._sluice.url, "SLUICE_KEY": key}
            with environment_file(self._layout.directory, variables, program_directories()) as path:
                showcase.print_banner(self._stack.processes(), path, time.monotonic() - began)
                if environment["SLUICE_MEDIA_CONFINEMENT"] == "best-effort":
                    asyncio.run(self._warn_if_unconfined())
                return asyncio.run(self._serve(showcase))
        finally:
            self._signals.ignore()
            with self._console.status("Stopping"):
                if self._sluice is not None:
                    self._sluice.stop()
                self._stack.stop()

    async def _warn_if_unconfined(self) -> None:
        async with SandboxedReader(ReaderRules(required=False)) as reader:
            if reader.gaps:
                self._console.print(
                    f"[yellow]Warning:[/] the sandbox of the media reader is incomplete on this machine: "
                    f"{escape('; '.join(reader.gaps))}. Do not upload files that you do not trust.",
                    highlight=False,
                )

    async def _serve(self, showcase: Showcase) -> int:
        """Serve until a signal arrives, a process dies, or (with --once) the upload has ended."""
        follower = asyncio.create_task(LogFollower(self._layout.logs).run()) if self._options.verbose else None
        stopped = asyncio.create_task(self._signals.wait())
        died = asyncio.create_task(self._first_death())
        shown: asyncio.Task[bool] | None = None
        if self._options.sends:
            shown = asyncio.create_task(showcase.send(self._options.own_file, serves_on=not self._options.once))
        try:
            waiting = {stopped, died, *([shown] if shown is not None else [])}
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if stopped in done:
                    return self._options.status_when_stopped
                if died in done:
                    self._say_death(died.result())
                    return 1
                if shown is not None and shown in done:
                    ready = shown.result()
                    if self._options.once:
                        return 0 if ready else 1
                    self._console.print("\nServing until Ctrl-C.")
            return 1
        finally:
            await end_tasks(follower, stopped, died, shown)

    async def _first_death(self) -> str:
        """The name of a process that has died, at any time since it was started."""
        while True:
            now = self._pids()
            for name, pid in self._expected.items():
                if now.get(name) != pid:
                    return name
            await asyncio.sleep(_WATCH_SECONDS)

    def _pids(self) -> dict[str, int]:
        return {**self._stack.processes(), **(self._sluice.pids() if self._sluice is not None else {})}

    def _say_death(self, name: str) -> None:
        path = self._layout.log(name)
        click.echo(f"\n{name} died. Last lines of {path}:\n{log_tail(path)}", err=True)
