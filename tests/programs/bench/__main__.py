"""`python -m tests.programs.bench`: measures, prints a table and writes build/bench.json."""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from deploy.cli.run_directory import RunDirectory
from pipeline.logs import configure_logging
from tests.programs.bench.bed import Bed, open_bed
from tests.programs.bench.figures import Figure, figures_table
from tests.programs.bench.machine import machine_facts
from tests.programs.bench.parts import PARTS, Sizes, default_parts, part_lines
from tests.programs.bench.table import goal_table

_TABLE_COLUMNS = 110


_REPORTED = ("size_mib", "repeat", "concurrency", "scale")


class _Command(click.Command):
    """A command whose `--help` lists the parts."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Parts"):
            formatter.write_dl(part_lines())
        super().format_options(ctx, formatter)


@click.command(cls=_Command)
@click.option("--size-mib", default=1024, show_default=True, type=click.IntRange(1), help="Size of the large file.")
@click.option(
    "--repeat",
    default=5,
    show_default=True,
    type=click.IntRange(1),
    help="How often each upload, or set of uploads, is measured with each program.",
)
@click.option(
    "--concurrency",
    default=4,
    show_default=True,
    type=click.IntRange(1, 64),
    help="How many segments `sluice upload` sends at once.",
)
@click.option(
    "--photos", "photo_count", default=100, show_default=True, type=click.IntRange(1), help="How many photos."
)
@click.option(
    "--tus-uploads", default=300, show_default=True, type=click.IntRange(1), help="How many uploads `tus-many` sends."
)
@click.option(
    "--scale",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.02, 1),
    help="Multiplies sizes, counts and budgets of `windows`, `scale` and `plan`: 0.02 is enough to try them out.",
)
@click.option(
    "--baseline",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A checkout of another version, with its own .venv, whose photos `media` measures in turn with this one's.",
)
@click.option(
    "--constants",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where `plan` writes the constants that it has measured, as JSON for `sluice plan`.",
)
@click.option(
    "--only",
    type=click.Choice(list(PARTS)),
    multiple=True,
    help=f"Measure only this part; may be repeated. Default: {', '.join(default_parts())}.",
)
@click.option(
    "--output",
    default=Path("build/bench.json"),
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the figures and their samples as JSON.",
)
def bench(only: tuple[str, ...], output: Path, **sizes: Any) -> None:
    """Measure the throughput, latency and memory of Sluice on this machine, with real servers on loopback."""
    measured = Sizes(**sizes)
    configure_logging("console", "warning")
    console = Console(soft_wrap=True)
    console.width = max(console.width, _TABLE_COLUMNS)
    home = RunDirectory.of_its_own(Path("build/bench"), keep=False)
    try:
        facts = machine_facts(home.path)
        console.print(", ".join(f"{name}: {fact}" for name, fact in facts.items()), highlight=False)
        with open_bed(home.path) as bed:
            figures = _measure(bed, console, only or default_parts(), measured)
    finally:
        home.close()
    console.print()
    console.print(figures_table(figures), soft_wrap=False)
    output.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": facts,
        **{name: value for name, value in asdict(measured).items() if name in _REPORTED},
        "figures": [figure.as_dict() for figure in figures],
    }
    output.write_text(json.dumps(report, indent=2) + "\n")
    console.print(f"\n{goal_table(report, complete=False)}", highlight=False, markup=False)
    console.print(f"\nWritten to {output}", highlight=False)


def _measure(bed: Bed, console: Console, names: Collection[str], sizes: Sizes) -> list[Figure]:
    """The figures of these parts, in the order of the table."""
    return [figure for name, part in PARTS.items() if name in names for figure in part.measure(bed, console, sizes)]


if __name__ == "__main__":
    bench()
