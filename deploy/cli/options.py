"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

server_option = click.option(
    "--server",
    envvar="SLUICE_SERVER",
    default="http://127.0.0.1:8080",
    show_default=True,
    show_envvar=True,
    metavar="URL",
    callback=lambda ctx, param, value: check_server(value),
    help="URL of the gateway.",
)


def json_option(help_text: str) -> Callable[[F], F]:
    """`--json`, as the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help=help_text)


def check_server(value: str) -> str:
    """Raises click.BadParameter unless `value` is an http(s) URL."""
    if not value.startswith(("http://", "https://")):
        raise click.BadParameter(f"{value!r} does not begin with http:// or https://")
    return value
