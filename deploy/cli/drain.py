"""`sluice drain`: takes a cell out of service: no new uploads, and what it has is finished."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from deploy.cli.options import json_option
from deploy.cli.output import print_line

if TYPE_CHECKING:
    from pipeline.adapters.redis.draining import Mode, Remaining

_POLL_SECONDS = 2.0


@click.command()
@click.option("--volume", metavar="NAME", help="The temp volume of the cell. Default: SLUICE_VOLUME.")
@click.option("--admit-waiting", is_flag=True, help="Also finish the uploads that wait for room already.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="End with status 1 after this time.")
@click.option("--cancel", is_flag=True, help="Take new uploads again.")
@json_option("Print one JSON object per line.")
def drain(volume: str | None, admit_waiting: bool, timeout: float | None, cancel: bool, as_json: bool) -> None:
    """Let a cell take no new uploads, finish those that it has, and wait until it is empty.

    New uploads are refused with 503 VOLUME_DRAINING, so that a load balancer can send them to another cell; /readyz
    shows the drain. Uploads that wait for room go on waiting, unless --admit-waiting is given; they are counted and do
    not keep the cell from being empty. Segments, downloads and deletions work as before. Gateways and workers must run
    until this command ends with status 0.

    The drain lasts until `sluice drain --cancel`, also when this command is interrupted and when everything restarts.
    After Redis has lost its data (`sluice recover`), drain again. The command needs SLUICE_REDIS_URL and
    SLUICE_REDIS_NAMESPACE as the cell has them.
    """
    if cancel and (admit_waiting or timeout is not None):
        raise click.UsageError("--cancel cannot be combined with --admit-waiting or --timeout.")
    asyncio.run(_run(volume, "new" if admit_waiting else "all", timeout, cancel=cancel, as_json=as_json))


async def _run(volume: str | None, mode: Mode, timeout: float | None, *, cancel: bool, as_json: bool) -> None:
    from pipeline.bootstrap import redis_parts
    from pipeline.settings import Settings

    settings = Settings()
    name = volume or settings.volume
    async with redis_parts(settings) as redis:
        known = await (redis.draining.cancel(name) if cancel else redis.draining.begin(name, mode))
        if not known:
            raise click.ClickException(
                f"Redis knows no temp volume '{name}'. Check --volume, SLUICE_REDIS_URL and SLUICE_REDIS_NAMESPACE."
            )
        if cancel:
            print_line(
                json.dumps({"volume": name, "draining": False}) if as_json else f"{name} takes new uploads again."
            )
            return
        try:
            async with asyncio.timeout(timeout):
                await _follow(redis.draining.remaining, name, as_json=as_json)
        except TimeoutError:
            raise click.ClickException(f"{name} was not empty after {timeout:g} s; it is still drained.") from None


async def _follow(read: Callable[[str], Awaitable[Remaining]], name: str, *, as_json: bool) -> None:
    """Print what remains whenever it changes, until nothing does. While Redis is unavailable, it is asked again."""
    from pipeline.core.errors import DependencyUnavailable

    shown: object = None
    while True:
        try:
            found = await read(name)
        except DependencyUnavailable as error:
            if shown != error.message:
                click.echo(error.message, err=True)
            shown = error.message
        else:
            if shown != found:
                print_line(
                    json.dumps({"volume": name, "empty": found.is_empty, **asdict(found)})
                    if as_json
                    else _line(name, found)
                )
            shown = found
            if found.mode is None:
                raise click.ClickException(f"The drain of {name} was cancelled.")
            if found.is_empty:
                return
        await asyncio.sleep(_POLL_SECONDS)


def _line(name: str, found: Remaining) -> str:
    counts = {status: count for status, count in found.in_flight.items() if count} | {
        label: count for label, count in (("to be cleaned up", found.cleaning), ("waiting", found.waiting)) if count
    }
    state = "is empty" if found.is_empty else "drains"
    return f"{name} {state}: " + (", ".join(f"{count} {label}" for label, count in counts.items()) or "no uploads")
