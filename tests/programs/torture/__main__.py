"""`python -m tests.programs.torture --seed N --minutes M`: prints a table and writes build/torture-STORE-SEED.json.

The exit status is 0 only if nothing is lost and nothing is left over. The run's logs and data are kept only otherwise,
for diagnosis.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from deploy.cli.run_directory import RunDirectory
from tests.harness.system_packages import missing_programs
from tests.programs.torture.fault_kinds import FaultKind
from tests.programs.torture.opening import open_world, servers
from tests.programs.torture.report import as_dict, problems, table
from tests.programs.torture.run import Outcome, run
from tests.programs.torture.schedule import Schedule, make_schedule

_TABLE_COLUMNS = 110
_REDIS = {"single": False, "sentinel": True}


@click.command()
@click.option(
    "--seed",
    default=1,
    show_default=True,
    type=int,
    help="Seed of the schedule: the same seed gives the same faults and uploads.",
)
@click.option(
    "--minutes",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="How long faults are injected and uploads started.",
)
@click.option(
    "--store", default="swift", show_default=True, type=click.Choice(["swift", "s3"]), help="The store to upload to."
)
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([kind.name.lower() for kind in FaultKind]),
    help="Inject faults of this kind only; may be repeated.",
)
@click.option(
    "--redis",
    type=click.Choice(list(_REDIS)),
    help="Use one Redis server, or three with Sentinels. By default, two of three seeds use Sentinels.",
)
@click.option("--keep", is_flag=True, help="Keep the logs and data even if nothing is lost or left over.")
def torture(seed: int, minutes: float, store: str, only: Sequence[str], redis: str | None, keep: bool) -> None:
    """Inject faults at random while uploads run, then check that nothing is lost and nothing is left over.

    Writes build/torture-STORE-SEED.json. The exit status is 0 only if the check succeeds; otherwise the logs and data
    of the run are kept in build/torture.
    """
    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.width = max(console.width, _TABLE_COLUMNS)
    kinds = [FaultKind[name.upper()] for name in only] or list(FaultKind)
    schedule = _schedule(seed, minutes * 60, kinds, redis)
    home = RunDirectory.of_its_own(Path("build/torture"), keep=True)
    try:
        outcome = _run(home.path, schedule, store, console)
    except BaseException:
        console.print(f"Interrupted; logs and data are in {home.path}")
        raise
    output = Path(f"build/torture-{store}-{seed}.json")
    facts = as_dict(outcome)
    output.write_text(json.dumps(facts, indent=1) + "\n")
    for line in problems(outcome, home.path):
        console.print(line)
    console.print(table(facts), soft_wrap=False, markup=True)
    console.print(f"Written to {output}")
    home.throw_away = outcome.is_clean and not keep
    home.close()
    raise SystemExit(not outcome.is_clean)


def _schedule(seed: int, seconds: float, kinds: Sequence[FaultKind], redis: str | None) -> Schedule:
    try:
        schedule = make_schedule(seed, seconds, kinds, sentinel=None if redis is None else _REDIS[redis])
    except ValueError as error:
        raise click.UsageError(f"{error}; see --redis") from None
    missing = missing_programs(["redis-server", "redis-sentinel"]) if schedule.sentinel else []
    if missing:
        raise click.UsageError(f"{', '.join(missing)} is missing: install it, or use --redis single")
    return schedule


def _run(directory: Path, schedule: Schedule, store: str, console: Console) -> Outcome:
    async def in_world() -> Outcome:
        async with open_world(stack, cluster, directory, schedule.seed, store) as world:
            return await run(world, schedule, console.print)

    with servers(directory, sentinel=schedule.sentinel) as (stack, cluster):
        return asyncio.run(in_world())


if __name__ == "__main__":
    torture()
