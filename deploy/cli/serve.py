"""`sluice gateway`, `sluice worker` and `sluice migrate`: one process each, configured by SLUICE_* variables alone.

Guarantee: on SIGTERM or SIGINT, a gateway or worker finishes or requeues its work within SLUICE_SHUTDOWN_SECONDS and
exits with status 0.
"""

from __future__ import annotations

import asyncio

import click

from pipeline.core.stages import WorkerType

_ALL = "all"


@click.command()
def gateway() -> None:
    """Run one gateway: it receives segments and serves the API, /docs and /metrics.

    It listens on SLUICE_HOST and SLUICE_PORT. You can run several. All gateways and disk-bound workers with the same
    SLUICE_VOLUME must see the same directory SLUICE_TEMP_DIR.
    """
    from gateway.server import serve
    from pipeline.settings import Settings

    asyncio.run(serve(Settings()))


@click.command()
@click.argument("stages", nargs=-1, required=True, metavar="STAGE...", type=click.Choice([_ALL, *map(str, WorkerType)]))
def worker(stages: tuple[str, ...]) -> None:
    """Run one worker process for the given STAGEs, or for `all`.

    \b
    admission   admits waiting uploads, expires abandoned ones, takes over lost stages
    transfer    sends segments to the object store as they arrive, then the manifest
    assemble    checks that every byte has arrived
    probe       reads the file's metadata
    thumbnail   creates and stores the thumbnail
    persist     writes the metadata row; the upload is then ready
    notify      delivers events to webhooks

    Each stage scales separately: run more processes of the one whose queue grows. A small site can run
    `sluice worker all`. Every stage except persist and notify needs the temp volume: the directory SLUICE_TEMP_DIR
    that the gateways with the same SLUICE_VOLUME use.

    Metrics and health checks are served on SLUICE_METRICS_PORT.
    """
    from pipeline.settings import Settings
    from workers.process import run_workers

    chosen = [kind for kind in WorkerType if _ALL in stages or kind in stages]
    asyncio.run(run_workers(Settings(), chosen))


@click.command()
def migrate() -> None:
    """Bring the schema of the database at SLUICE_DATABASE_URL up to date.

    Prints what was applied. It is safe to run this more than once. Gateways and workers do the same before they first
    use the database, unless SLUICE_DATABASE_MIGRATE is false.
    """
    from pipeline.adapters.postgres.migrate import migrate as apply
    from pipeline.settings import Settings

    applied = asyncio.run(apply(Settings().database_url.get_secret_value()))
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("The schema is up to date; nothing to do.")
