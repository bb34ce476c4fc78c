"""What the commands of `sluice replay` share: their options, and the replays in the database of the settings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from deploy.cli.webhook_options import validated

if TYPE_CHECKING:  # imported only where a command needs the database
    from pipeline.ports.replays import ReplayRepository
    from schemas.replays import ReplayFilters

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_LEAST_RATE = 0.001
_MOST_RATE = 1000.0
_MOST_AT_ONCE = 64

id_argument = click.argument("replay_id", metavar="ID")

concurrency_option = click.option(
    "--concurrency",
    type=click.IntRange(1, _MOST_AT_ONCE),
    default=1,
    show_default=True,
    help="Contents that this process reads at once, each on one CPU core.",
)


def rate_option(help_text: str) -> Callable[[F], F]:
    return click.option("--rate", type=click.FloatRange(_LEAST_RATE, _MOST_RATE), metavar="N", help=help_text)


def filter_options(command: F) -> F:
    """An option for each filter of contents: `--min-created-at TIME`, `--video-codec h264`, ..."""
    from schemas.content_list import ContentFilters

    own = [
        click.option("--id", "ids", multiple=True, metavar="ID", help="Only this content. Can be given several times."),
        click.option("--store", metavar="NAME", help="Only contents in this store: swift, s3 or filesystem."),
        click.option(
            "--thumbnail/--no-thumbnail", default=None, help="Only contents with a thumbnail, or without one."
        ),
    ]
    of_lists = [
        click.option(f"--{name.replace('_', '-')}", name, metavar="VALUE", help=_sentence(field.description or name))
        for name, field in ContentFilters.model_fields.items()
        if name != "owner"
    ]
    owner = click.option("--owner", metavar="NAME", help="Only contents of this owner.")
    for option in reversed([owner, *own, *of_lists]):
        command = option(command)
    return command


def filters_of(given: Mapping[str, Any]) -> ReplayFilters:
    """Raises click.UsageError."""
    from schemas.replays import ReplayFilters

    return validated(ReplayFilters, **{name: value for name, value in given.items() if value is not None})


def manage(use: Callable[[ReplayRepository], Awaitable[T]]) -> T:
    """What `use` returns, called with the replays in the database of the settings."""

    async def with_database() -> T:
        from pipeline.bootstrap.replays import replay_management
        from pipeline.settings import Settings

        async with replay_management(Settings()) as replays:
            return await use(replays)

    return asyncio.run(with_database())


def _sentence(text: str) -> str:
    return f"{text.rstrip('.')}."
