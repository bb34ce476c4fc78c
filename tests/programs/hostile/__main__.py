"""`python -m tests.programs.hostile --seed N --files 10000`: prints a summary; the exit status is 1 on a violation."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from tests.programs.hostile.run import Outcome, lines, run

_PROGRESS_EVERY = 500


@click.command()
@click.option("--seed", default=1, show_default=True, type=int, help="The same seed gives the same files.")
@click.option("--files", default=10_000, show_default=True, type=click.IntRange(1), help="How many files are read.")
def hostile(seed: int, files: int) -> None:
    """Read hostile files in a row through the sandboxed reader, and check that nothing is touched or left."""

    def tell(number: int, outcome: Outcome) -> None:
        if (number + 1) % _PROGRESS_EVERY == 0:
            click.echo(f"{number + 1:,} of {files:,}; {len(outcome.violations)} violations", err=True)

    with tempfile.TemporaryDirectory(prefix="sluice-hostile-") as name:
        directory = Path(name)
        directory.chmod(0o755)  # a child that belongs to nobody could reach the canary
        outcome = run(directory, seed, files, tell)
    for line in lines(outcome, seed):
        click.echo(line)
    raise SystemExit(bool(outcome.violations))


if __name__ == "__main__":
    hostile()
