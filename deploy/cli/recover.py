"""`sluice recover`: rebuilds in Redis, after it has lost its data, the uploads that the temp volume holds."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict

import click

from deploy.cli.formatting import format_ranges
from deploy.cli.names import shown
from deploy.cli.options import json_option
from pipeline.adapters.redis.owner_counts import WrongCount
from pipeline.uploads.recovery import Recovered


@click.command()
@json_option(
    "Print one JSON object per line: each rebuilt upload, each owner whose counters were wrong, then a summary."
)
def recover(as_json: bool) -> None:
    """Rebuild uploads and reservations in Redis from the journals on the temp volume.

    Run it when Redis has restarted without its data, on a machine that mounts SLUICE_TEMP_DIR, with the settings of a
    worker. Gateways and workers can keep running. Until you run it, new uploads are refused with VOLUME_RECOVERING, and
    requests for an upload that Redis has lost with UPLOAD_RECOVERING. Every segment is checked against the digest
    recorded when it arrived; clients have to send damaged segments again. Uploads that waited for room are not rebuilt:
    their clients create them again. Counters of owners that differ from their uploads are corrected. It is safe to run
    this more than once.
    """
    count = asyncio.run(_run(as_json))
    if as_json:
        click.echo(json.dumps({"summary": {"mended": count}}))
    else:
        click.echo(
            f"{count} uploads rebuilt" if count else "Redis knows every upload on the temp volume; nothing to do."
        )


async def _run(as_json: bool) -> int:
    """How many uploads had to be rebuilt, wholly or in part."""
    from pipeline.bootstrap import redis_parts, volume_parts
    from pipeline.logs import Log, configure_logging
    from pipeline.settings import Settings
    from pipeline.sweeps import Sweep

    settings = Settings()
    configure_logging(settings.log_format, settings.log_level)
    count = 0
    async with redis_parts(settings) as redis:
        parts = volume_parts(settings, redis)
        run = await redis.board.server_run()
        sweep = Sweep(Log.RECOVERY_DEFERRED, volume=settings.volume)
        for upload_id in await parts.cell.journals.ids():
            with sweep.item(upload_id=upload_id):
                found = await parts.recovery.recover(upload_id)
                if found is not None:
                    count += 1
                    click.echo(json.dumps(asdict(found)) if as_json else _line(found))
        sweep.end()
        if sweep.failed:
            raise click.ClickException(
                f"{sweep.failed} uploads could not be rebuilt, so the volume stays closed; the log above says why."
            )
        await redis.ledger.open(run)
        for wrong in await redis.owners.compare(repair=True):
            click.echo(json.dumps(asdict(wrong)) if as_json else _correction(wrong))
    return count


def _correction(wrong: WrongCount) -> str:
    changes = [
        f"{name} {wrong.counted[name]} -> {actual}"
        for name, actual in wrong.actual.items()
        if wrong.counted[name] != actual
    ]
    return f"Counters of owner {shown(wrong.owner)} corrected: {', '.join(changes)}"


def _line(found: Recovered) -> str:
    line = f"{found.upload_id}  {found.status:<10}  {found.segments} segments"
    if found.missing:
        line += f", to be sent: {format_ranges(found.missing)}"
    return f"{line}  {shown(found.filename)}"
