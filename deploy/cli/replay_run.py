"""Runs a replay in the foreground of a command, until it is done, stopped or interrupted.

Guarantee: SIGINT, SIGTERM and SIGHUP end it in order: its contents are released, so that the next runner has them at
once. After SIGKILL it has them when the lease ends. The process has a low priority, and so have the readers that it
starts: uploads come first.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import click

from deploy.cli.replay_text import failures_text, progress_text, summary_text
from pipeline.core.stages import REPLAYABLE, Stage

if TYPE_CHECKING:
    from pipeline.ports.replays import ReplayRepository
    from schemas.replays import Replay

_NICE: Final = 10
_REPORT_SECONDS: Final = 5.0
_INTERRUPTED: Final = 130


def run_replay(replay: Replay, concurrency: int, *, as_json: bool) -> None:
    """Run it, report its progress on standard error and its end on standard output, and exit."""
    if replay.stage not in REPLAYABLE:
        raise click.ClickException(f"This release cannot run stage {replay.stage} again.")
    click.echo(f"Replay {replay.id} of stage {replay.stage}: {progress_text(replay)}", err=True)
    with suppress(OSError):  # a limit of this user
        os.nice(_NICE)
    ended = asyncio.run(_run(replay, concurrency))
    if ended is None:
        click.echo(f"Interrupted; `sluice replay resume {replay.id}` continues.", err=True)
        sys.exit(_INTERRUPTED)
    click.echo(ended.model_dump_json() if as_json else summary_text(ended))
    if ended.failed:
        click.echo(failures_text(ended), err=True)
    sys.exit(1 if ended.failed else 0)


async def _run(replay: Replay, concurrency: int) -> Replay | None:
    """The replay when this run has ended; None: it was interrupted."""
    from pipeline.bootstrap.replays import replay_management, replay_runner
    from pipeline.logs import configure_logging
    from pipeline.settings import Settings
    from pipeline.tasks import end_tasks
    from pipeline.upkeep.replays import ReplayRules

    settings = Settings()
    configure_logging(settings.log_format, settings.log_level)
    came = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, came.set)
    rules = ReplayRules(concurrency=concurrency)
    async with (
        replay_management(settings) as replays,
        replay_runner(settings, Stage(replay.stage), rules) as runner,
    ):
        running = asyncio.create_task(runner.run(replay.id))
        interrupted = asyncio.create_task(came.wait())
        reporting = asyncio.create_task(_report(replays, replay.id))
        try:
            await asyncio.wait({running, interrupted}, return_when=asyncio.FIRST_COMPLETED)
            return await running if running.done() else None
        finally:
            await end_tasks(running, interrupted, reporting)


async def _report(replays: ReplayRepository, replay_id: str) -> None:
    """Print how far the replay is, whenever that has changed."""
    from pipeline.core.errors import SluiceError

    shown = ""
    while True:
        await asyncio.sleep(_REPORT_SECONDS)
        with suppress(SluiceError):  # the runner reports what is unavailable
            text = progress_text(await replays.get(replay_id))
            if text != shown:
                click.echo(text, err=True)
            shown = text
