"""Two gateways of two cells: each has its own Redis database and temp volume, and both have one PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deploy.embedded.ports import ReservedPort
from gateway.options import GatewayOptions
from pipeline.core.errors import TEMPORARY_REDIRECT
from pipeline.settings import Settings
from tests.integration.gateway.site import Site, running_site
from tests.integration.gateway.truth import Response


@dataclass(frozen=True, slots=True)
class Pair:
    """Two cells, 0 and 1, and where they are. Credentials of the first are valid at the second."""

    first: Site
    second: Site
    urls: Mapping[int, str]
    settings: tuple[Settings, Settings]

    async def follow(self, site: Site, credential: str | None, method: str, path: str, **options: Any) -> Following:
        """Send a request and follow redirects with the credential, as `sluice upload` does."""
        passed: list[str] = []
        for _ in range(5):
            response = await site.with_(credential, method, path, allow_redirects=False, **options)
            if response.status != TEMPORARY_REDIRECT:
                return Following(response, tuple(passed))
            location = response.headers["Location"]
            cell = next(number for number, url in self.urls.items() if location.startswith(url))
            site, path = (self.first, self.second)[cell], location.removeprefix(self.urls[cell])
            passed.append(path.partition("?")[2])
        raise AssertionError(f"too many redirects: {passed}")


@dataclass(frozen=True, slots=True)
class Following:
    """The last response, and the query of each redirect before it."""

    response: Response
    queries: tuple[str, ...]


def pair_settings(settings: Settings, directory: Path, urls: Mapping[int, str]) -> tuple[Settings, Settings]:
    """Of the two cells, which have Redis databases of their own."""
    url = settings.redis_url.get_secret_value().rpartition("/")[0]
    secret = type(settings.redis_url)
    made = []
    for cell in (0, 1):
        changes: dict[str, Any] = {
            "cell": cell,
            "cells": tuple(urls.items()),
            "redis_url": secret(f"{url}/{cell}"),
            "volume": f"volume-{cell}",
            "temp_dir": directory / f"cell-{cell}",
        }
        changes["temp_dir"].mkdir()
        made.append(settings.model_copy(update=changes))
    return made[0], made[1]


@asynccontextmanager
async def running_pair(
    settings: Settings,
    options: GatewayOptions,
    directory: Path,
    first: Mapping[str, Any] | None = None,
    second: Mapping[str, Any] | None = None,
) -> AsyncIterator[Pair]:
    """`first` and `second`: changes of the settings of a cell."""
    ports = ReservedPort(), ReservedPort()
    urls = {cell: f"http://127.0.0.1:{port.number}" for cell, port in enumerate(ports)}
    try:
        one, two = pair_settings(settings, directory, urls)
        one, two = one.model_copy(update=dict(first or {})), two.model_copy(update=dict(second or {}))
        shown = [replace(options, cell=cell, cells=urls, public_url=urls[cell]) for cell in urls]
        async with (
            running_site(one, shown[0], ports[0].number) as left,
            running_site(two, shown[1], ports[1].number) as right,
        ):
            yield Pair(left, replace(right, credentials=left.credentials), urls, (one, two))
    finally:
        for port in ports:
            port.release()
