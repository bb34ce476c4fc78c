"""`sluice recover`: after Redis has lost everything, what lies on the temp volume is made known to it again."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict

import click

from deploy.cli.options import json_option
from pipeline.uploads.recovery import Recovered


@click.command()
@json_option("One JSON object a line: each upload, then a summary.")
def recover(as_json: bool) -> None:
    """Rebuild uploads, reservations and queue in Redis from the journals on the temp volume.

    Run it where SLUICE_TEMP_DIR is mounted, with the settings of a worker, after Redis has come back without its data:
    gateways and workers may go on running. Until then new uploads wait, and uploads that Redis has lost are answered
    with UPLOAD_RECOVERING. Every segment is checked against the digest that it arrived with; what does not hold, its
    client is asked for again. Harmless to repeat.
    """
    count = asyncio.run(_run(as_json))
    if as_json:
        click.echo(json.dumps({"summary": {"mended": count}}))
    else:
        click.echo(
            f"{count} uploads mended" if count else "Redis knows every upload of the temp volume; nothing to do."
        )


async def _run(as_json: bool) -> int:
    """How many uploads there was something to mend of."""
    from pipeline.bootstrap import redis_parts, volume_parts
    from pipeline.settings import Settings
    from pipeline.telemetry import configure_logging

    settings = Settings()
    configure_logging(settings.log_format, settings.log_level)
    count = 0
    async with redis_parts(settings) as redis:
        parts = volume_parts(settings, redis)
        for upload_id in await parts.cell.journals.ids():
            found = await parts.recovery.recover(upload_id)
            if found is not None:
                count += 1
                click.echo(json.dumps(asdict(found)) if as_json else _sentence(found))
        await redis.ledger.open()
    return count


def _sentence(found: Recovered) -> str:
    said = f"{found.upload_id}  {found.status:<10}  {found.segments} segments"
    if found.missing:
        ranges = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in found.missing)
        said += f", to be sent: {ranges}"
    return f"{said}  {found.filename}"
