"""The metadata of every file of the corpus is the same whether it is read while the file arrives, from a file that has
arrived whole, or from an object in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.early_files import send_others, send_wanted
from tests.harness.cell import Cell
from tests.harness.media_corpus import CORPUS, corpus_file
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e

_AT_ONCE = 6
_KIB = 1024
_LONG = ("aac_adts_long", "dv", "mov_prores_alpha")


async def _whole(cell: Cell, name: str, data: bytes) -> dict[str, Any] | None:
    upload = await cell.create(len(data), filename=name, content_type="application/octet-stream")
    for number in range(upload["segment_count"], 0, -1):  # the reader begins when the last byte is there
        await cell.put(upload, number, data)
    return _media(await cell.until(upload["id"], "ready", "failed"))


async def _arriving(cell: Cell, name: str, data: bytes) -> dict[str, Any] | None:
    upload = await cell.create(len(data), filename=name, content_type="application/octet-stream")
    sent = await send_wanted(cell, upload, data, lambda view: bool(view["media"] or view["error"]))
    view = await cell.status(upload["id"])
    early = _media(view)
    if view["status"] != "failed":
        await send_others(cell, upload, data, sent)
        view = await cell.until(upload["id"], "ready", "failed")
    assert _media(view) == early, name
    return early


async def _imported(cell: Cell, name: str, data: bytes) -> dict[str, Any] | None:
    key = f"raw/{name}"
    await cell.store.put_object(key, data, "application/octet-stream")
    _, body, _ = await cell.call("POST", "/v1/contents/import", json={"key": key}, expect=201)
    return _media(await cell.until(body["data"]["id"], "ready", "failed"))


def _media(view: Mapping[str, Any]) -> dict[str, Any] | None:
    """None: the file was refused."""
    media: dict[str, Any] | None = view["media"]
    assert media is not None or view["error"]["code"] == "NOT_MEDIA", view
    return media


def _chosen(every: int) -> list[str]:
    """Some of each kind, all that state something after much else, and others of several megabytes."""
    return [
        name for number, name in enumerate(CORPUS) if number % every == 0 or name.endswith("_large") or name in _LONG
    ]


@pytest.mark.parametrize(
    ("store", "every", "segment_bytes"),
    [("filesystem", 9, 64 * _KIB), ("swift", 24, 128 * _KIB), ("s3", 24, 64 * _KIB)],
)
@pytest.mark.timeout(900)
async def test_metadata_does_not_depend_on_where_the_bytes_are(
    servers: Servers, tmp_path: Path, store: str, every: int, segment_bytes: int
) -> None:
    """With every store; with more files where the store is the fastest."""
    files = {name: await asyncio.to_thread(corpus_file, name) for name in _chosen(every)}
    slots = asyncio.Semaphore(_AT_ONCE)
    differences: list[str] = []
    async with running_cell(servers, tmp_path, store=store, segment_bytes=segment_bytes) as cell:

        async def compare(name: str, path: Path) -> None:
            data = path.read_bytes()
            async with slots:
                whole = await _whole(cell, name, data)
                arriving = await _arriving(cell, name, data)
                imported = await _imported(cell, name, data)
            if not whole == arriving == imported:
                differences.append(f"{name}:\n  whole    {whole}\n  arriving {arriving}\n  imported {imported}")

        await asyncio.gather(*(compare(name, path) for name, path in files.items()))
    assert not differences, "\n".join(differences)
    assert len(files) >= (30 if store == "filesystem" else 15)
    assert sum(path.stat().st_size > 2 * _KIB**2 for path in files.values()) >= 6
