"""`sluice gateway`, `sluice worker` and `sluice migrate`: one process, set up from SLUICE_* variables alone.

Guarantee: SIGTERM and SIGINT end a process in good order: what it has begun is finished or handed back within
SLUICE_SHUTDOWN_SECONDS, then it ends with status 0.
"""

from __future__ import annotations

import asyncio

import click

from pipeline.core.stages import WorkerType

_ALL = "all"


@click.command()
def gateway() -> None:
    """Run one gateway: takes segments in, answers the API, shows /docs and /metrics.

    Listens on SLUICE_HOST and SLUICE_PORT. Run as many as you like side by side; gateways and disk-bound workers of one
    SLUICE_VOLUME must see the same directory SLUICE_TEMP_DIR.
    """
    from gateway.server import serve
    from pipeline.settings import Settings

    asyncio.run(serve(Settings()))


@click.command()
@click.argument("stages", nargs=-1, required=True, metavar="STAGE...", type=click.Choice([_ALL, *map(str, WorkerType)]))
def worker(stages: tuple[str, ...]) -> None:
    """Run one worker process for each STAGE given, or for `all`.

    \b
    admission   lets uploads in as room comes free, ends what is abandoned
    transfer    segments to the object store as they arrive, then the manifest
    assemble    makes sure that every byte is there
    probe       reads the file's metadata
    thumbnail   makes a thumbnail and stores it
    persist     writes the metadata row; the upload is ready

    Each is scaled by itself: run more processes of the one whose queue grows. Small sites run `sluice worker all`.
    All but persist need the temp volume: the directory SLUICE_TEMP_DIR that gateways of the same SLUICE_VOLUME use.

    Metrics and health are on SLUICE_METRICS_PORT.
    """
    from pipeline.settings import Settings
    from workers.process import run_workers

    chosen = [kind for kind in WorkerType if _ALL in stages or kind in stages]
    asyncio.run(run_workers(Settings(), chosen))


@click.command()
def migrate() -> None:
    """Bring the schema of SLUICE_DATABASE_URL up to date, and say what was done. Harmless to repeat.

    Gateways and workers do this by themselves before they first use it, unless SLUICE_DATABASE_MIGRATE is false.
    """
    from pipeline.adapters.postgres.migrate import migrate as apply
    from pipeline.settings import Settings

    applied = asyncio.run(apply(Settings().database_url.get_secret_value()))
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("The schema is up to date; nothing to do.")
