"""`sluice doctor`: checks everything that Sluice depends on, and says how to fix what it finds.

Guarantee: it removes what it writes: a probe file on the temp volume, two keys in Redis, a row in PostgreSQL (in a
transaction that is rolled back), and a few objects in the store, whose container or bucket it creates where it is
missing. Every check has a time limit, and a check that fails does not hide the others. The exit status is 1 when
something is so wrong that Sluice cannot work, else 0.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.markup import escape

from deploy.cli.doctor.findings import Finding, Level
from deploy.cli.options import json_option

_COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "red"}

__all__ = ["doctor"]

T = TypeVar("T")


@click.command()
@json_option("Print a JSON list of findings: check, level (ok, warning, error), finding, advice.")
def doctor(as_json: bool) -> None:
    """Check Redis, PostgreSQL, the object store, the media reader, the temp volume and who may call, as the SLUICE_*
    variables say.

    Each warning and error comes with advice. The exit status is 1 if there is an error, else 0.
    """
    from deploy.cli.doctor.checks import examine
    from pipeline.logs import configure_logging
    from pipeline.settings import Settings

    configure_logging("console", "error")
    try:
        findings = asyncio.run(_until_stopped(examine(Settings())))
    except asyncio.CancelledError:
        sys.exit(1)
    if as_json:
        click.echo(json.dumps([finding.as_dict() for finding in findings], indent=2))
    else:
        _print(findings)
    sys.exit(1 if any(finding.level is Level.ERROR for finding in findings) else 0)


async def _until_stopped(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`. SIGTERM and SIGHUP cancel it, as SIGINT does, so that it removes what it has written."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    return await task


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
