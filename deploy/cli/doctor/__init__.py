"""`sluice doctor`: looks at everything that Sluice stands on, and says what to do about what it finds.

Guarantee: it only reads, but for one probe file on the temp volume, which it removes. Every check ends in time,
whatever it waits for; one that fails does not hide the others. Exit status 1 when something is wrong enough that
Sluice cannot work, else 0.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter

import click
from rich.console import Console
from rich.markup import escape

from deploy.cli.doctor.findings import Finding, Level
from deploy.cli.options import json_option

_COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "red"}

__all__ = ["doctor"]


@click.command()
@json_option("A list of findings on standard output: check, level (ok, warning, error), finding, advice.")
def doctor(as_json: bool) -> None:
    """Check Redis, PostgreSQL, the object store, ffmpeg and the temp volume, as SLUICE_* variables name them.

    Says for each finding what to do. Exit status 1 if there is an error, 0 if there are warnings at most.
    """
    from deploy.cli.doctor.checks import examine
    from pipeline.settings import Settings
    from pipeline.telemetry import configure_logging

    configure_logging("console", "error")
    findings = asyncio.run(examine(Settings()))
    if as_json:
        click.echo(json.dumps([finding.as_dict() for finding in findings], indent=2))
    else:
        _print(findings)
    sys.exit(1 if any(finding.level is Level.ERROR for finding in findings) else 0)


def _print(findings: list[Finding]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    check = ""
    for finding in findings:
        if finding.check != check:
            check = finding.check
            console.print(f"[bold]{check}[/]")
        console.print(f"  [{_COLOURS[finding.level]}]{finding.level:<8}[/] {escape(finding.what)}")
        if finding.advice:
            console.print(f"           {escape(finding.advice)}", style="italic")
    counts = Counter(finding.level for finding in findings)
    console.print(f"\nerrors: {counts[Level.ERROR]}, warnings: {counts[Level.WARNING]}")
