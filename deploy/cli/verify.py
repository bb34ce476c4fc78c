"""`sluice verify`: compares the rows of contents with the objects in the stores, and the objects with the rows."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from deploy.cli.names import shown
from deploy.cli.options import json_option
from deploy.cli.output import print_line

if TYPE_CHECKING:  # imported only where the command runs, so that --help is fast
    from pipeline.upkeep.findings import Finding

_MEBIBYTE = 1024 * 1024


@click.command()
@click.option("--sample", type=click.IntRange(min=1, max=1_000_000), metavar="N", help="Compare N contents, at random.")
@click.option("--all", "every", is_flag=True, help="Compare every content.")
@click.option(
    "--read/--no-read",
    default=None,
    help="Read every byte of these contents, or rely on what the store says of them. By default a sample is read.",
)
@click.option(
    "--rate",
    type=click.IntRange(min=1),
    metavar="MIB",
    help="Read at most MIB mebibytes per second. By default as fast as the store sends.",
)
@click.option("--orphans/--no-orphans", default=True, help="Also look for orphaned objects. By default it does.")
@click.option(
    "--orphan-days",
    type=click.FloatRange(min=0),
    default=7.0,
    show_default=True,
    help="Objects of an upload that this cell does not know are orphaned from this age on. Those of uploads of another "
    "cell of SLUICE_CELLS are left to that cell.",
)
@json_option("Print one JSON object per line: every finding, then the summary.")
def verify(
    sample: int | None,
    every: bool,
    read: bool | None,
    rate: int | None,
    orphans: bool,
    orphan_days: float,
    as_json: bool,
) -> None:
    """Compare the rows of contents with the objects in the stores.

    Finds contents whose object or thumbnail is missing, has another size or another digest, or cannot be read, and
    objects that belong to no content and to no upload. Changes nothing. Run it with the settings of a worker; uploads
    and deletions can go on meanwhile.

    The exit status is 0 only if nothing is wrong.
    """
    if (sample is None) is not every:
        raise click.UsageError("Give either --sample N or --all.")
    reads = read if read is not None else not every
    counts = asyncio.run(_run(sample, reads, rate, orphan_days if orphans else None, as_json=as_json))
    faults = {name: count for name, count in sorted(counts.items()) if name not in ("contents", "bytes", "objects")}
    if as_json:
        click.echo(
            json.dumps({"summary": {**{name: counts[name] for name in ("contents", "bytes", "objects")}, **faults}})
        )
    else:
        listed = f", {counts['objects']} names in the stores" if orphans else ""
        found = ", ".join(f"{count} {name}" for name, count in faults.items()) or "nothing is wrong"
        click.echo(f"{counts['contents']} contents{' read' if reads else ''}{listed}: {found}")
    sys.exit(1 if faults else 0)


async def _run(
    sample: int | None, reads: bool, rate: int | None, orphan_days: float | None, *, as_json: bool
) -> Counter[str]:
    """What was compared and found: contents, bytes, objects, and each fault by its name."""
    from pipeline.adapters.postgres.audit import PostgresContentAudit
    from pipeline.bootstrap import content_repository, open_stores, redis_parts
    from pipeline.logs import configure_logging
    from pipeline.settings import Settings
    from pipeline.upkeep.compared_contents import ComparedContents, CompareRules
    from pipeline.upkeep.compared_objects import ComparedObjects, OrphanSearch

    settings = Settings()
    configure_logging(settings.log_format, settings.log_level)
    counts: Counter[str] = Counter()

    def checked(size_bytes: int) -> None:
        counts["contents"] += 1
        counts["bytes"] += size_bytes

    def listed() -> None:
        counts["objects"] += 1

    def report(finding: Finding) -> None:
        counts[finding.fault.value] += 1
        if as_json:
            print_line(json.dumps(asdict(finding)))
        else:
            print_line(f"{finding.fault.value:12} {finding.store} {shown(finding.name)}: {shown(finding.reason)}")

    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(open_stores(settings))
        contents = content_repository(settings)
        stack.push_async_callback(contents.close)
        audit = PostgresContentAudit(contents.pool)
        rules = CompareRules(reads, None if rate is None else rate * _MEBIBYTE)
        compared = ComparedContents(contents, audit, stores, rules, checked)
        async for finding in compared.every() if sample is None else compared.sample(sample):
            report(finding)
        if orphan_days is not None:
            redis = await stack.enter_async_context(redis_parts(settings))
            cells = frozenset(dict(settings.cells))
            search = OrphanSearch(orphan_days * 24 * 3600, own=settings.cell, cells=cells)
            async for finding in ComparedObjects(audit, redis.board, stores, search, listed).every():
                report(finding)
    return counts
