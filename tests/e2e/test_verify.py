"""`sluice verify` finds every kind of fault, made by hand in the real store, and reports nothing that is none."""

from __future__ import annotations

import asyncio
import json
import sys
from subprocess import run
from typing import Any

import asyncpg
import pytest
from uuid6 import uuid7

from pipeline.core.stored_objects import object_key, thumbnail_key
from tests.e2e.test_integrity import FILE_BYTES, MATROSKA, digest_of
from tests.e2e.test_orphaned_objects import of_last_month
from tests.e2e.test_tus_concatenation import final, new_part
from tests.harness.cell import Cell
from tests.harness.media_samples import long_video

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture
def cell(cell_of_store: Cell) -> Cell:
    return cell_of_store


async def verify(cell: Cell, *arguments: str) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The findings of `sluice verify`, and its summary. The exit status must agree."""
    command = [sys.executable, "-m", "deploy.cli", "verify", "--json", *arguments]
    done = await asyncio.to_thread(
        run, command, env={**cell.environment}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout, done.stderr
    *findings, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == (1 if findings else 0), done.stderr
    return findings, last["summary"]


async def in_database(cell: Cell, statement: str, *arguments: object) -> None:
    connection = await asyncpg.connect(cell.settings.database_url.get_secret_value())
    try:
        await connection.execute(statement, *arguments)
    finally:
        await connection.close()


async def test_each_kind_of_fault(cell: Cell) -> None:
    data = long_video(FILE_BYTES[cell.settings.store])
    small = long_video(100_003)
    whole, *others = [(await cell.upload(data, **MATROSKA))["id"], *[await _small(cell, small) for _ in range(5)]]
    gone, pictureless, short, changed, damaged = others
    parts = [await new_part(cell, data[:300_000]), await new_part(cell, data[300_000:])]
    joined = await final(cell, *parts)
    await cell.until(joined, "ready")
    await cell.store.put_object("raw/verify.mkv", small, "video/x-matroska")
    _, body, _ = await cell.call("POST", "/v1/contents/import", json={"key": "raw/verify.mkv"}, expect=201)
    imported = body["data"]["id"]
    await cell.until(imported, "ready")
    in_flight = await cell.create(len(data), **MATROSKA)
    await cell.put(in_flight, 1, data)
    deleted = await _small(cell, small)
    await cell.call("DELETE", f"/v1/contents/{deleted}", expect=200)

    findings, summary = await verify(cell, "--all", "--read", "--rate", "1000")
    assert findings == []
    assert (summary["contents"], summary["bytes"]) == (8, 2 * len(data) + 6 * len(small))

    orphan, newer = of_last_month(), str(uuid7())
    await cell.store.delete(object_key(gone))
    await cell.store.delete(thumbnail_key(pictureless))
    await cell.store.put_object(object_key(short), small[:-1], "video/x-matroska")
    await cell.store.put_object(object_key(changed), bytes(len(small)), "video/x-matroska")
    await in_database(cell, "UPDATE contents SET crc32c = crc32c # 1 WHERE id = $1", damaged)
    await asyncio.gather(*(cell.store.put_object(object_key(name), b"x", "video/mp4") for name in (orphan, newer)))

    unreadable = set()
    if cell.settings.store != "s3":  # where a segment cannot be removed from its object
        (segment,) = [name for name in await cell.stored_keys() if whole in name and "00000002" in name]
        await cell.store.delete(segment)
        unreadable = {("unreadable", whole, object_key(whole))}

    findings, summary = await verify(cell, "--sample", "100")
    assert {(item["fault"], item["upload_id"], item["name"]) for item in findings} == unreadable | {
        ("missing", gone, object_key(gone)),
        ("missing", pictureless, thumbnail_key(pictureless)),
        ("wrong_size", short, object_key(short)),
        ("wrong_digest", changed, object_key(changed)),
        ("wrong_digest", damaged, object_key(damaged)),
        ("orphaned", orphan, object_key(orphan)),
    }
    assert {name: summary[name] for name in ("missing", "wrong_size", "wrong_digest", "orphaned")} == {
        "missing": 2,
        "wrong_size": 1,
        "wrong_digest": 2,
        "orphaned": 1,
    }
    by_id = {item["upload_id"]: item["reason"] for item in findings}
    assert digest_of(small) in by_id[damaged]
    unread, _ = await verify(cell, "--all", "--orphan-days", "0")
    assert {item["upload_id"] for item in unread} == {gone, pictureless, short, changed, orphan, newer}


async def _small(cell: Cell, data: bytes) -> str:
    upload_id: str = (await cell.upload(data, **MATROSKA))["id"]
    return upload_id
