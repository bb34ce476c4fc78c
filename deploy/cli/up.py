"""`sluice up`: runs all of Sluice on this machine, with real servers, until Ctrl-C.

Guarantee: the exit status is 0 only if a signal stopped it or, with --once, if the upload became ready. However it
ends, none of its processes keeps running. When a process dies, its name and the last lines of its log are printed,
everything else is stopped, and the exit status is 1.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
from rich.console import Console

from deploy.cli.processes import ALL_IN_ONE, SEPARATE
from deploy.cli.run_directory import RunDirectory
from deploy.cli.stop_signals import StopSignals
from deploy.cli.up_run import UpOptions, UpRun


@click.command()
@click.option("--demo", is_flag=True, help="Upload a sample video and show the resulting content.")
@click.option(
    "--file",
    "own_file",
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
    help="Upload this file instead of the sample, and show the resulting content.",
)
@click.option("--once", is_flag=True, help="Stop after that upload; the exit status is 0 only if it became ready.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Port of the gateway. By default any free port.")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep all data there and use it again next time. By default ./.sluice/run-..., which is deleted at the end.",
)
@click.option("--fresh", is_flag=True, help="Empty --directory first.")
@click.option("--keep", is_flag=True, help="Do not delete ./.sluice/run-... at the end.")
@click.option(
    "--workers",
    type=click.Choice(["separate", "all-in-one"]),
    default="separate",
    show_default=True,
    help="One process per worker type, or one for all of them, which needs less memory and starts faster.",
)
@click.option(
    "--keystone",
    is_flag=True,
    help="Also run Keystone: Sluice logs in with it, and delegates tokens of a second user (transport `token`).",
)
@click.option("--verbose", is_flag=True, help="Print the logs of all processes as they are written.")
def up(
    demo: bool,
    own_file: Path | None,
    once: bool,
    port: int,
    directory: Path | None,
    fresh: bool,
    keep: bool,
    workers: str,
    keystone: bool,
    verbose: bool,
) -> None:
    """Run all of Sluice on this machine: Redis, PostgreSQL, Swift, a gateway and every worker, on loopback.

    It prints their addresses and the path of an environment file. After `. DIRECTORY/env.sh`, `sluice doctor`,
    `sluice recover`, psql and redis-cli in that shell use them.

    It needs neither Docker nor root. To use servers of your own instead, set SLUICE_REDIS_URL, SLUICE_DATABASE_URL, or
    SLUICE_SWIFT_AUTH_URL with the other SLUICE_SWIFT_* settings. All other SLUICE_* variables apply too.
    """
    if once and not (demo or own_file):
        raise click.UsageError("--once needs --demo or --file: it stops after that upload.")
    if fresh and directory is None:
        raise click.UsageError("--fresh needs --directory; without it, every run starts empty.")
    if keystone:
        _require_embedded_swift()
        if directory is not None and directory.exists() and any(directory.iterdir()) and not fresh:
            raise click.UsageError(
                "--keystone with a --directory that has data needs --fresh: each start of Keystone creates new"
                " projects, so earlier objects could not be found."
            )
    options = UpOptions(
        sends=demo or own_file is not None,
        own_file=own_file,
        once=once,
        port=port,
        workers=SEPARATE if workers == "separate" else ALL_IN_ONE,
        verbose=verbose,
        keystone=keystone,
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
            console.print(f"The logs are in {home.path / 'logs'}", highlight=False, soft_wrap=True)
        elif not home.throw_away:
            console.print(
                f"To continue with this data: sluice up --directory {home.path}", highlight=False, soft_wrap=True
            )
    sys.exit(status)


def _require_embedded_swift() -> None:
    """Raises click.UsageError when the environment names another store, which this Keystone could not serve."""
    store = os.environ.get("SLUICE_STORE") or "swift"
    if store != "swift":
        raise click.UsageError(f"--keystone works with the store swift; SLUICE_STORE is {store}.")
    if "SLUICE_SWIFT_AUTH_URL" in os.environ:
        raise click.UsageError("--keystone runs its own Swift; unset SLUICE_SWIFT_AUTH_URL.")
