"""Listings of a container."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.adapters.object_store.http.bodies import read_json, text, unusable, whole_number
from pipeline.adapters.object_store.http.paging import every_item
from pipeline.adapters.object_store.swift.http import SwiftHttp
from pipeline.adapters.object_store.swift.layout import container_path


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An entry of a listing. For a manifest, size and etag are what the server takes for it: Swift those of the whole,
    Ceph those of the manifest itself. `etag` may be empty."""

    name: str
    size_bytes: int
    etag: str


def entries(http: SwiftHttp, container: str, prefix: str, page_names: int) -> AsyncIterator[ListedObject]:
    """Every entry whose name begins with `prefix`; none when the container does not exist. Raises StoreUnavailable for
    a page that is no listing, StoreError.

    A page may be shorter than requested; only an empty one is the end. Listings may lag behind what was stored.
    """
    path = container_path(container)
    what = f"GET {path}"

    async def fetch(marker: str | None) -> tuple[Sequence[ListedObject], str | None]:
        query = {"format": "json", "limit": str(page_names)}
        if prefix:
            query["prefix"] = prefix
        if marker:
            query["marker"] = marker
        async with http.request("GET", path, accept=(200, 204, 404), query=query) as response:
            body = await read_json(response, what) if response.status == 200 else []
        if not isinstance(body, list):
            raise unusable(what, "it is not a listing")
        page = [_listed(entry, prefix, what) for entry in body]
        return page, page[-1].name if page else None

    return every_item(fetch, what)


def _listed(entry: Any, prefix: str, what: str) -> ListedObject:
    if not isinstance(entry, dict):
        raise unusable(what, "an entry is not an object")
    name = text(entry.get("name"), what, "name")
    if not name.startswith(prefix):
        raise unusable(what, f"{name[:100]!a} is listed below the prefix {prefix!a}")
    etag = entry.get("hash", "")
    if not isinstance(etag, str):
        raise unusable(what, f"hash is {etag!a}"[:100])
    return ListedObject(name, whole_number(entry.get("bytes"), what, "bytes"), etag)
