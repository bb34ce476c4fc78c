"""`python -m tests.programs.torture --seed N --minutes M`: runs, prints a table, writes build/torture-STORE-SEED.json.

Exit status 0 only if nothing is lost and nothing left over. What a run leaves behind on disk is kept only when
something was, to look into.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click
from rich.console import Console

from deploy.cli.run_directory import RunDirectory
from tests.programs.torture.report import as_dict, problems, table
from tests.programs.torture.run import Outcome, run
from tests.programs.torture.schedule import make_schedule
from tests.programs.torture.world import open_world, servers

_TABLE_COLUMNS = 110


@click.command()
@click.option("--seed", default=1, show_default=True, type=int, help="Of the schedule: the same seed, the same faults.")
@click.option(
    "--minutes", default=10.0, show_default=True, type=click.FloatRange(0, min_open=True), help="Length of the war."
)
@click.option("--store", default="swift", show_default=True, type=click.Choice(["swift", "s3"]), help="What is broken.")
@click.option("--keep", is_flag=True, help="Keep logs and data of a clean run too.")
def torture(seed: int, minutes: float, store: str, keep: bool) -> None:
    """Break everything around Sluice at random while uploads run, and look whether anything was lost."""
    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.width = max(console.width, _TABLE_COLUMNS)
    home = RunDirectory.of_its_own(Path("build/torture"), keep=True)
    try:
        outcome = _tortured(home.path, seed, minutes * 60, store, console)
    except BaseException:
        console.print(f"Broken off; what there is lies in {home.path}")
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


def _tortured(directory: Path, seed: int, seconds: float, store: str, console: Console) -> Outcome:
    schedule = make_schedule(seed, seconds)

    async def in_world() -> Outcome:
        async with open_world(stack, directory, seed, store) as world:
            return await run(world, schedule, console.print)

    with servers(directory) as stack:
        return asyncio.run(in_world())


if __name__ == "__main__":
    torture()
