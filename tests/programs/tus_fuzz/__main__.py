"""`python -m tests.programs.tus_fuzz --seed N --minutes M`: prints what was requested; the exit status is 1 on a
violation."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import click

from deploy.embedded import EmbeddedStack, StackOptions
from tests.programs.tus_fuzz.run import run


@click.command()
@click.option("--seed", default=1, show_default=True, type=int, help="The same seed gives the same requests.")
@click.option(
    "--minutes",
    default=5.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="How long requests are sent.",
)
def tus_fuzz(seed: int, minutes: float) -> None:
    """Send right and wrong tus requests at random, and check that no byte is wrong and nothing is left."""
    with tempfile.TemporaryDirectory(prefix="sluice-tus-") as name:
        directory = Path(name)
        with EmbeddedStack(StackOptions(directory=directory / "servers", fast=True)) as stack:
            outcome = asyncio.run(run(stack, directory / "cell", seed, minutes * 60))
    for what, count in sorted(outcome.counts.items()):
        click.echo(f"{count:7,}  {what}")
    click.echo(f"{len(outcome.violations)} violations")
    for violation in outcome.violations:
        click.echo(violation)
    raise SystemExit(bool(outcome.violations))


if __name__ == "__main__":
    tus_fuzz()
