"""Metadata is known while most of a file is yet to arrive, and what is not media is refused at that point."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import aclosing
from pathlib import Path

import pytest

from tests.e2e.early_files import LAYOUTS, film, following, noise, numbers_of, send_others, send_wanted
from tests.harness.cell import SEGMENT_BYTES, Cell, eventually
from tests.harness.media_samples import sample
from tests.harness.running import apart, running_cell
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e

_MOST_SEGMENTS = {"mp4, index in front": 8, "mp4, index at the end": 8, "fragmented mp4": 26, "matroska": 12}
"""Of 256 KiB, of about 36: up to 2 MiB, the index, and the frame. A fragmented file has no index: the reader
looks at the head of each of its twelve fragments."""


@pytest.fixture
def cell(cell_of_store: Cell) -> Cell:
    return cell_of_store


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_only_the_first_segment_and_those_that_are_wanted_are_needed(cell: Cell, layout: str) -> None:
    data = film(layout)
    most = _MOST_SEGMENTS[layout]
    upload = await cell.create(len(data))
    assert (upload["media"], upload["wanted_segments"]) == (None, [])
    if cell.settings.store == "s3":  # its segments are so long that there are two
        most = 2
    else:
        assert upload["segment_count"] > 30
    sent = await send_wanted(cell, upload, data, lambda view: view["media"] is not None)
    assert len(sent) <= most, sorted(sent)
    view = await cell.status(upload["id"])
    assert view["stages"]["probe"]["state"] == "done"
    assert view["status"] == "receiving" or len(sent) == upload["segment_count"]
    media = view["media"]
    assert media["kind"] == "video"
    assert media["duration_seconds"] == pytest.approx(12, abs=0.1)
    assert {stream["type"] for stream in media["streams"]} == {"video", "audio"}
    _, listed, _ = await cell.call("GET", "/v1/uploads?limit=1", expect=200)
    assert listed["data"]["items"][0]["media"] is None, "lists stay short"

    # The thumbnail follows in the same way.
    sent |= await send_wanted(cell, upload, data, lambda view: view["stages"]["thumbnail"]["state"] == "done")
    assert len(sent) <= most, sorted(sent)
    await send_others(cell, upload, data, sent)
    ready = await cell.until(upload["id"], "ready")
    assert (ready["media"], ready["wanted_segments"]) == (media, [])
    content = await cell.content(upload["id"])
    assert content["media"] == media
    assert await cell.read(content["object"]["key"]) == data
    assert (await cell.read(content["thumbnail"]["key"]))[:3] == b"\xff\xd8\xff"
    await cell.until_clean()
    assert (await cell.status(upload["id"]))["media"] == media, "it stays with the record"


async def test_the_stream_of_events_names_what_is_wanted_and_shows_the_metadata(cell: Cell) -> None:
    data = film("mp4, index at the end")
    upload = await cell.create(len(data))
    sent = {1}
    async with aclosing(following(cell, upload["id"])) as events:
        await cell.put(upload, 1, data)
        async with asyncio.timeout(60):
            async for event, text in events:
                assert event == "upload"
                view = json.loads(text)
                if view["media"] is not None:
                    break
                for number in sorted(numbers_of(view["wanted_segments"]) - sent):
                    _, body, _ = await cell.put(upload, number, data)
                    assert number not in numbers_of(body["data"]["wanted_segments"])
                    sent.add(number)
    assert view["status"] == "receiving" or cell.settings.store == "s3"
    assert len(sent) <= _MOST_SEGMENTS["mp4, index at the end"]
    await send_others(cell, upload, data, sent)
    await cell.until(upload["id"], "ready")
    await cell.until_clean()


async def test_noise_is_refused_after_its_first_segments(cell: Cell) -> None:
    data = noise(24 * (5 * 1024 * 1024 if cell.settings.store == "s3" else SEGMENT_BYTES))
    upload = await cell.create(len(data), filename="film.mp4")
    sent = await send_wanted(cell, upload, data, lambda view: view["status"] == "failed")
    assert len(sent) <= 6, sorted(sent)
    view = await cell.status(upload["id"])
    assert view["error"]["code"] == "NOT_MEDIA"
    status, body, _ = await cell.put(upload, 20, data)
    assert (status, body["error"]["code"], body["error"]["detail"]["error_code"]) == (409, "UPLOAD_ENDED", "NOT_MEDIA")
    await cell.until_clean()


async def test_a_photo_takes_three_jobs(cell: Cell) -> None:
    upload = await cell.upload(sample("jpeg").read_bytes(), filename="a.jpg", content_type="image/jpeg")
    entries = await cell.redis.xrange(cell.keys.events)
    runs = Counter(
        entry["name"]
        for _, entry in entries
        if (entry["upload_id"], entry["kind"], entry["value"]) == (upload["id"], "stage", "running")
    )
    assert runs == dict.fromkeys(("transfer", "probe", "persist"), 1)
    assert {upload["stages"][name]["state"] for name in ("seal", "thumbnail")} == {"done"}, (
        "others have done their work"
    )


async def test_clients_that_do_not_send_what_is_wanted_hold_no_worker(servers: Servers, tmp_path: Path) -> None:
    """More of them than any worker has slots for; each expires."""
    data = film("mp4, index at the end")
    async with running_cell(servers, tmp_path, lease_seconds=60) as cell:
        stuck = [await cell.create(len(data)) for _ in range(12)]
        for upload in stuck:
            await cell.put(upload, 1, data)

        async def parked() -> bool:
            views = [await cell.status(upload["id"]) for upload in stuck]
            assert {view["status"] for view in views} == {"receiving"}
            runs = await cell.redis.zcard(f"{cell.keys.prefix}stage-leases")
            return runs == 0 and {view["stages"]["probe"]["state"] for view in views} == {"idle"}

        await eventually(parked, 60, lambda: "every probe to wait without a worker, and no run to be left")
        honest = await cell.upload(sample("mp4").read_bytes())
        assert honest["status"] == "ready"
        for upload in stuck:
            view = await cell.until(upload["id"], "expired", seconds=150)
            assert view["stages"]["probe"]["state"] == "stopped"
        await cell.until_clean()


async def test_the_reader_starts_over_when_a_segment_is_invalidated(servers: Servers, tmp_path: Path) -> None:
    """Its bytes change on the disk after they were read, and before they are stored."""
    data = film("mp4, index in front")
    async with running_cell(servers, tmp_path, workers=apart("transfer")) as cell:
        cell.processes.child("worker-transfer").stop()
        upload = await cell.create(len(data))
        sent = await send_wanted(cell, upload, data, lambda view: view["media"] is not None)
        media = (await cell.status(upload["id"]))["media"]
        path = cell.settings.temp_dir / f"{upload['id']}.data"
        with path.open("r+b") as file:
            file.seek(1000)
            file.write(b"other bytes")
        cell.processes.child("worker-transfer").start()

        async def lost() -> bool:
            view = await cell.status(upload["id"])
            return 1 in numbers_of(view["missing_segments"]) and view["media"] is None

        await eventually(lost, 60, lambda: "the changed segment to be requested again, and the metadata withdrawn")
        await send_others(cell, upload, data, sent - {1})
        view = await cell.until(upload["id"], "ready")
        assert view["media"] == media
        assert await cell.read((await cell.content(upload["id"]))["object"]["key"]) == data
        await cell.until_clean()
