"""`python -m tests.programs.bench.table [REPORT]`: the table of goals, as Markdown, from a report of the benchmark."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from tests.programs.bench.goals import ROWS, Breakdown, Row, Source

Figures = Mapping[tuple[str, str], Mapping[str, Any]]
"""The figures of a report, by part and name."""


def goal_table(report: Mapping[str, Any], rows: Sequence[Row] = ROWS, *, complete: bool = True) -> str:
    """The heading and one line per row. Without `complete`, no rows of parts that the report does not have."""
    figures: Figures = {(figure["part"], figure["name"]): figure for figure in report["figures"]}
    parts = {part for part, _ in figures}
    machine = report["machine"]
    load = ", ".join(map(str, machine["load_before"]))
    heading = (
        f"{report['measured_at']}, {machine['cores']} cores, load before {load}, "
        f"{machine['cpu_idle_percent_before']:.0f} % idle, medians of {report['repeat']}:"
    )
    lines = [heading, "", "| figure | seen | goal | peer in the same run | |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *(_line(row, figures) for row in rows if complete or row.seen.part in parts)])


def _verdict(value: float, row: Row) -> str:
    """Whether the goal is met; "" without a goal."""
    if row.least is None and row.most is None:
        return ""
    return "met" if (row.least or 0) <= value <= (row.most or math.inf) else "missed"


def _line(row: Row, figures: Figures) -> str:
    peers = "; ".join(f"{name}: {text}" for name, source in row.peers.items() if (text := _value(source, figures)))
    if isinstance(row.seen, Breakdown):
        return f"| {row.text} | {_breakdown(row.seen, figures)} | | {peers} | |"
    figure = figures.get((row.seen.part, row.seen.name))
    if figure is None:
        return f"| {row.text} | not measured | {_goal(row, '')} | {peers} | |"
    met = _verdict(figure[row.seen.statistic], row)
    return f"| {row.text} | {_value(row.seen, figures)} | {_goal(row, figure['unit'])} | {peers} | {met} |"


def _value(source: Source, figures: Figures) -> str:
    figure = figures.get((source.part, source.name))
    return "" if figure is None else _with_unit(figure[source.statistic], figure["unit"])


def _breakdown(breakdown: Breakdown, figures: Figures) -> str:
    found = {
        name.removeprefix(breakdown.prefix): figure
        for (part, name), figure in figures.items()
        if part == breakdown.part and name.startswith(breakdown.prefix)
    }
    units = {figure["unit"] for figure in found.values()}
    values = (f"{label} {_number(figure['median'])}" for label, figure in found.items() if figure["median"])
    return f"{', '.join(values)} {'/'.join(units)}" if found else "not measured"


def _goal(row: Row, unit: str) -> str:
    if row.least is not None and row.most is not None:
        return f"{_number(row.least)} to {_with_unit(row.most, unit)}"
    if row.least is not None:
        return f">= {_with_unit(row.least, unit)}"
    return "" if row.most is None else f"<= {_with_unit(row.most, unit)}"


def _with_unit(value: float, unit: str) -> str:
    return f"{_number(value)} {unit}".rstrip()


def _number(value: float) -> str:
    """Three digits, and no fewer than the integer part has."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


@click.command()
@click.argument(
    "report", default=Path("build/bench.json"), type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
def table(report: Path) -> None:
    """Print the table of goals from REPORT, by default build/bench.json."""
    click.echo(goal_table(json.loads(report.read_text("utf-8"))))


if __name__ == "__main__":
    table()
