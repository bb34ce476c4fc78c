"""`sluice import`: imports objects that are already in the store, one by one, through the gateway.

Guarantee: it can be interrupted and run again at any time. The gateway knows which objects were imported before, and
they are counted as known. Object names are listed from the store itself, with this machine's SLUICE_* settings.
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
from deploy.cli.names import shown
from deploy.cli.options import json_option, key_option, server_option
from deploy.cli.output import print_line
from pipeline.adapters.object_store.names import MULTIPART_PREFIX, SEGMENT_PREFIX
from pipeline.bootstrap import open_store
from pipeline.core.stored_objects import OWN_PREFIX
from pipeline.settings import Settings

_AT_ONCE = 8


@click.command("import")
@click.option("--prefix", default="", help="Import only objects whose names begin with this.")
@click.option("--bucket", metavar="NAME", help="Bucket or container to import from. By default Sluice's own.")
@click.option("--owner", help="Whom the contents will belong to. By default a setting of the gateway.")
@click.option("--dry-run", is_flag=True, help="Only list the objects that would be imported.")
@server_option
@key_option
@json_option("Print one JSON object per line: every object, then the summary.")
def import_(
    prefix: str, bucket: str | None, owner: str | None, dry_run: bool, server: str, key: str | None, as_json: bool
) -> None:
    """Import objects that are already in the store.

    Lists the store that the SLUICE_* settings name and asks the gateway to import each object. It does not wait until
    they are ready; `sluice status` shows them. Objects that were imported before are skipped.

    The exit status is 0 only if no object was refused.
    """
    client = SluiceClient(server, key=key, connections=_AT_ONCE)
    counts = asyncio.run(_run(client, prefix, bucket, owner, dry_run=dry_run, as_json=as_json))
    refused = {code: count for code, count in counts.items() if code.isupper()}
    if as_json:
        click.echo(json.dumps({"summary": dict(counts)}))
    else:
        parts = [f"{counts['listed']} listed", f"{counts['begun']} started", f"{counts['known']} imported before"]
        click.echo(", ".join([*parts, *(f"{count} refused ({code})" for code, count in sorted(refused.items()))]))
    sys.exit(1 if refused else 0)


async def _run(
    client: SluiceClient, prefix: str, bucket: str | None, owner: str | None, *, dry_run: bool, as_json: bool
) -> Counter[str]:
    counts: Counter[str] = Counter()
    keys: asyncio.Queue[str | None] = asyncio.Queue(maxsize=4 * _AT_ONCE)

    async def work() -> None:
        while (key := await keys.get()) is not None:
            outcome, reason = "begun", ""
            if not dry_run:
                try:
                    outcome = "begun" if (await client.import_object(key, bucket, owner)).created else "known"
                except ApiError as error:
                    outcome, reason = error.code, str(error)
            counts[outcome] += 1
            if as_json:
                print_line(json.dumps({"key": key, "outcome": outcome}))
            else:
                print_line(f"{outcome:8} {shown(key)}" + (f": {shown(reason)}" if reason else ""))

    async with client, asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(work())
        async for key in _names(prefix, bucket):
            counts["listed"] += 1
            await keys.put(key)
        for _ in range(_AT_ONCE):
            await keys.put(None)
    return counts


async def _names(prefix: str, bucket: str | None) -> AsyncIterator[str]:
    """Keys of the objects to import: neither Sluice's own contents nor segments."""
    async with open_store(Settings()) as store:
        foreign = bucket is not None and bucket != store.container
        source = store.within(bucket) if bucket is not None else store
        async for key in source.list_keys(prefix):
            parts = key.startswith((SEGMENT_PREFIX, MULTIPART_PREFIX))
            if not parts and (foreign or not key.startswith(OWN_PREFIX)):
                yield key
