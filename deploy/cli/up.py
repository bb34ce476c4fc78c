"""`sluice up`: all of Sluice on this machine, as real processes on real servers, until Ctrl-C.

Guarantee: it ends with status 0 only if it was asked to end (or, with --once, if the upload became ready); however it
ends, no process of it is left. A process that dies is named, with the last lines of its log, and ends the rest with
status 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console

from deploy.cli.processes import ALL_IN_ONE, SEPARATE
from deploy.cli.run_directory import RunDirectory
from deploy.cli.stop_signals import StopSignals
from deploy.cli.up_run import UpOptions, UpRun


@click.command()
@click.option("--demo", is_flag=True, help="Send a sample video through the gateway, and show what becomes of it.")
@click.option(
    "--file",
    "own_file",
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
    help="Send this file instead of the sample.",
)
@click.option("--once", is_flag=True, help="End after that one upload; status 0 only if it became ready.")
@click.option(
    "--port", default=0, type=click.IntRange(0, 65535), help="Port of the gateway; by default any that is free."
)
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep everything there, and find it again next time; by default ./.sluice/run-..., which goes at the end.",
)
@click.option("--fresh", is_flag=True, help="Empty --directory first.")
@click.option("--keep", is_flag=True, help="Do not remove the run's own directory at the end.")
@click.option(
    "--workers",
    type=click.Choice(["separate", "all-in-one"]),
    default="separate",
    show_default=True,
    help="A process for each worker type, or one for all: less memory, and a quicker start.",
)
@click.option("--verbose", is_flag=True, help="Print every process's log as it is written.")
def up(
    demo: bool,
    own_file: Path | None,
    once: bool,
    port: int,
    directory: Path | None,
    fresh: bool,
    keep: bool,
    workers: str,
    verbose: bool,
) -> None:
    """Run all of Sluice here: Redis, PostgreSQL, Swift, a gateway and every worker, on loopback.

    No Docker and no root are needed. What you have already is used instead when SLUICE_REDIS_URL, SLUICE_DATABASE_URL
    or SLUICE_SWIFT_AUTH_URL (with its companions) names it; every other SLUICE_* variable applies too.
    """
    if once and not (demo or own_file):
        raise click.UsageError("--once needs --demo or --file: one upload, and then the end.")
    if fresh and directory is None:
        raise click.UsageError("--fresh needs --directory; without one every run is fresh.")
    options = UpOptions(
        sends=demo or own_file is not None,
        own_file=own_file,
        once=once,
        port=port,
        workers=SEPARATE if workers == "separate" else ALL_IN_ONE,
        verbose=verbose,
    )
    console = Console()
    with StopSignals() as signals:
        home = RunDirectory.of_its_own(keep=keep) if directory is None else RunDirectory.named(directory, fresh=fresh)
        status = 1
        try:
            status = UpRun(home.path, options, signals, console).to_the_end()
        except KeyboardInterrupt:  # while servers were starting
            status = options.status_when_stopped
        finally:
            signals.ignore()
            home.close(leave=status != 0)
        if status != 0:
            console.print(f"The logs are left in {home.path / 'logs'}", highlight=False, soft_wrap=True)
        elif not home.throw_away:
            console.print(f"Go on from here with: sluice up --directory {home.path}", highlight=False, soft_wrap=True)
    sys.exit(status)
