"""`sluice import`: what lies in the store already becomes contents, object by object, through the gateway.

Guarantee: it may be broken off and run again, as often as one likes: what was imported before is known by the gateway
and counted as such. Names are listed from the store itself, by the SLUICE_* settings of the machine it runs on.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator

import click

from deploy.cli.client import SluiceClient
from deploy.cli.errors import ApiError
from deploy.cli.options import json_option, server_option
from pipeline.adapters.object_store.names import MULTIPART_PREFIX, SEGMENT_PREFIX
from pipeline.bootstrap import open_store
from pipeline.core.model import OWN_PREFIX
from pipeline.settings import Settings

_AT_ONCE = 8


@click.command("import")
@click.option("--prefix", default="", help="Only objects whose names begin so.")
@click.option("--bucket", metavar="NAME", help="Bucket or container; by default the store's own.")
@click.option("--dry-run", is_flag=True, help="Only say which objects would be imported.")
@server_option
@json_option("One JSON object a line on standard output: every object, and the summary.")
def import_(prefix: str, bucket: str | None, dry_run: bool, server: str, as_json: bool) -> None:
    """Import objects that are in the store already.

    Lists the store, by the SLUICE_* settings, and asks the gateway to import each object; it does not wait until they
    are ready (`sluice status` shows them). What was imported before is left alone.

    Exit status 0 only if no object was refused.
    """
    counts = asyncio.run(_run(prefix, bucket, dry_run, server, as_json))
    refused = {code: count for code, count in counts.items() if code.isupper()}
    if as_json:
        click.echo(json.dumps({"summary": dict(counts)}))
    else:
        parts = [f"{counts['listed']} listed", f"{counts['begun']} begun", f"{counts['known']} known before"]
        click.echo(", ".join([*parts, *(f"{count} refused ({code})" for code, count in sorted(refused.items()))]))
    sys.exit(1 if refused else 0)


async def _run(prefix: str, bucket: str | None, dry_run: bool, server: str, as_json: bool) -> Counter[str]:
    counts: Counter[str] = Counter()
    keys: asyncio.Queue[str | None] = asyncio.Queue(maxsize=4 * _AT_ONCE)

    async def work(client: SluiceClient) -> None:
        while (key := await keys.get()) is not None:
            outcome, said = "begun", ""
            if not dry_run:
                try:
                    outcome = "begun" if (await client.import_object(key, bucket)).created else "known"
                except ApiError as error:
                    outcome, said = error.code, str(error)
            counts[outcome] += 1
            if as_json:
                click.echo(json.dumps({"key": key, "outcome": outcome}, ensure_ascii=False))
            else:
                click.echo(f"{outcome:8} {key}" + (f": {said}" if said else ""))

    async with SluiceClient(server, connections=_AT_ONCE) as client, asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(work(client))
        async for key in _names(prefix, bucket):
            counts["listed"] += 1
            await keys.put(key)
        for _ in range(_AT_ONCE):
            await keys.put(None)
    return counts


async def _names(prefix: str, bucket: str | None) -> AsyncIterator[str]:
    """Objects that are not our own, nor parts of any."""
    async with open_store(Settings()) as store:
        foreign = bucket is not None and bucket != store.container
        source = store.within(bucket) if bucket is not None else store
        async for key in source.list_keys(prefix):
            parts = key.startswith((SEGMENT_PREFIX, MULTIPART_PREFIX))
            if not parts and (foreign or not key.startswith(OWN_PREFIX)):
                yield key
