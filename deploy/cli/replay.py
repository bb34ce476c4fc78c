"""`sluice replay`: runs a stage again for stored contents, and shows, stops and continues what runs.

`deploy.cli.replay_run` runs it, in the foreground. The replay is recorded in PostgreSQL, so any process with the
settings of a worker continues it.
"""

from __future__ import annotations

from typing import Any

import click

from deploy.cli.options import json_option
from deploy.cli.replay_options import concurrency_option, filter_options, filters_of, id_argument, manage, rate_option
from deploy.cli.replay_run import run_replay
from deploy.cli.replay_text import failure_row, match_text, replay_facts, replay_row
from deploy.cli.webhook_text import print_facts, print_rows
from pipeline.core.stages import REPLAYABLE, Stage

_ONE_OBJECT = "Print the replay as one JSON object."
_WHAT = {
    Stage.PROBE: "Read the metadata again: new columns, formats that the reader knows now.",
    Stage.THUMBNAIL: "Make the thumbnails again.",
}


@click.group()
def replay() -> None:
    """Run a stage again for stored contents that match a filter, at a limited rate.

    The files are read from the object store by ranges, in the sandbox of the workers; nothing is downloaded whole, and
    no room on a temp volume is needed. A content whose file cannot be read keeps what it has. Run it with the settings
    of a worker; uploads go on meanwhile. After an interruption of any kind, `sluice replay resume ID` continues. See
    docs/replay.md. Notifications are sent again by `sluice webhook replay`.
    """


def _starting(stage: Stage) -> click.Command:
    """The command that creates and runs a replay of one stage."""

    @click.command(str(stage), short_help=_WHAT.get(stage, f"Run stage {stage} again."))
    @filter_options
    @rate_option("At most N contents per second, of all runners together. By default as fast as they are read.")
    @concurrency_option
    @click.option("--dry-run", is_flag=True, help="Only print how many contents match.")
    @json_option(_ONE_OBJECT)
    def start(rate: float | None, concurrency: int, dry_run: bool, as_json: bool, **given: Any) -> None:
        filters = filters_of(given)
        if dry_run:
            found = manage(lambda replays: replays.match(filters))
            click.echo(found.model_dump_json() if as_json else match_text(found))
            return
        made = manage(lambda replays: replays.create(str(stage), filters, rate))
        run_replay(made, concurrency, as_json=as_json)

    start.help = f"""{_WHAT.get(stage, f"Run stage {stage} again.")}

    Every filter that is given must match; without one, every content does that exists now. The exit status is 0 only if
    no content failed.
    """
    return start


for _stage in REPLAYABLE:
    replay.add_command(_starting(_stage))


@replay.command("list")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="List no more than so many."
)
@json_option("Print one JSON object per line.")
def list_(limit: int, as_json: bool) -> None:
    """List replays, newest first."""
    print_rows(manage(lambda replays: replays.newest(limit)), replay_row, as_json)


@replay.command()
@id_argument
@click.option("--failures", is_flag=True, help="List the contents that failed, with code and reason.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, help="Of --failures.")
@json_option("Print the replay as one JSON object, or one for each failure.")
def show(replay_id: str, failures: bool, limit: int, as_json: bool) -> None:
    """Show a replay: how many contents it is done with, and how they ended."""
    if failures:
        print_rows(manage(lambda replays: replays.failures(replay_id, limit)), failure_row, as_json)
    else:
        print_facts(manage(lambda replays: replays.get(replay_id)), replay_facts, as_json)


@replay.command()
@id_argument
@json_option(_ONE_OBJECT)
def stop(replay_id: str, as_json: bool) -> None:
    """Stop a replay, wherever it runs. Its runners finish the contents that they have."""
    print_facts(manage(lambda replays: replays.stop(replay_id)), replay_facts, as_json)


@replay.command()
@id_argument
@rate_option("The new rate, contents per second. By default it stays.")
@concurrency_option
@click.option("--failed", is_flag=True, help="Also try the contents again that failed.")
@json_option(_ONE_OBJECT)
def resume(replay_id: str, rate: float | None, concurrency: int, failed: bool, as_json: bool) -> None:
    """Continue a replay that was stopped or whose runner has ended; or run it on one more machine."""
    continued = manage(lambda replays: replays.resume(replay_id, rate, failed=failed))
    run_replay(continued, concurrency, as_json=as_json)
