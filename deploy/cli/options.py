"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from deploy.cli.names import shown

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


key_option = click.option(
    "--key-file",
    "key",
    metavar="PATH",
    callback=lambda ctx, param, value: read_key(value),
    help="File that contains the API key. By default the key is the value of SLUICE_KEY.",
)


def read_key(path: str | None) -> str | None:
    """The key in this file, else in SLUICE_KEY; None: no key. A key is never an argument, because other users of a
    machine can see arguments. Raises click.BadParameter."""
    if path is None:
        return os.environ.get("SLUICE_KEY") or None
    try:
        text = Path(path).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{shown(path)} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not text or len(text.split()) != 1:
        raise click.BadParameter(f"{shown(path)} does not contain exactly one key")
    return text


def json_option(help_text: str) -> Callable[[F], F]:
    """`--json`, as the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help=help_text)


def check_server(value: str) -> str:
    """Raises click.BadParameter unless `value` is an http(s) URL with a host and without a query."""
    name = shown(value)
    try:
        url = urlsplit(value)
        usable = bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:  # a port that is no number, or an IPv6 address without its bracket
        usable = False
    if not value.lower().startswith(("http://", "https://")):
        raise click.BadParameter(f"{name} does not begin with http:// or https://")
    if not usable or not value.isprintable() or " " in value:
        raise click.BadParameter(f"{name} is not a URL such as http://127.0.0.1:8080")
    if url.query or url.fragment:
        raise click.BadParameter(f"{name} has a query; name only the server")
    return value
