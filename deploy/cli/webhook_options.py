"""What the commands of `sluice webhook` share: their options, and the webhooks in the database of the settings."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from deploy.cli.names import shown
from pipeline.core.webhooks import SUBSCRIBED
from schemas.owners import OWNER_PATTERN

if TYPE_CHECKING:  # imported only where a command needs the database, so that --help is fast
    from pydantic import BaseModel

    from pipeline.webhooks.service import Webhooks

T = TypeVar("T")
M = TypeVar("M", bound="BaseModel")
F = TypeVar("F", bound=Callable[..., Any])

id_argument = click.argument("webhook_id", metavar="ID")


def owner_option(help_text: str) -> Callable[[F], F]:
    return click.option("--owner", callback=_owner, help=help_text)


def event_option(help_text: str) -> Callable[[F], F]:
    """`--event`, as the argument `events`."""
    names = click.Choice([str(kind) for kind in SUBSCRIBED])
    return click.option("--event", "events", multiple=True, type=names, help=help_text)


def run(use: Callable[[Webhooks], Awaitable[T]]) -> T:
    """What `use` returns, called with the webhooks in the database of the settings."""

    async def with_database() -> T:
        from pipeline.bootstrap.webhooks import webhook_management
        from pipeline.settings import Settings

        async with webhook_management(Settings()) as webhooks:
            return await use(webhooks)

    return asyncio.run(with_database())


def validated(model: type[M], **values: Any) -> M:
    """A request as the API takes it. Raises click.UsageError."""
    from pydantic import ValidationError

    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        text = shown(first["msg"].removeprefix("Value error, "))
        raise click.UsageError(f"{place}: {text}" if place else text) from None


def _owner(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(OWNER_PATTERN, value):
        raise click.BadParameter("1 to 128 letters, digits and any of . _ @ + : | / -, first a letter or digit")
    return value
