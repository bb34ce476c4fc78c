"""`python -m tests.programs.torture.tables build/torture-*.json`: the table of torture runs in docs/measurements.md."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tests.programs.torture.report import side_by_side


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def tables(files: tuple[Path, ...]) -> None:
    """Print the reports in FILES as one Markdown table with a column for each run."""
    for line in side_by_side([json.loads(file.read_text()) for file in files]):
        click.echo(line)


if __name__ == "__main__":
    tables()
