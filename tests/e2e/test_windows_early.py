"""Files that pass through a window are read while they arrive, as whole files are: metadata early, noise refused at its
beginning, and the digest that their client announced compared."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.e2e.early_files import film, noise, send_wanted
from tests.harness.cell import Cell
from tests.harness.media_samples import long_video
from tests.harness.running import CellProcesses, cell_processes
from tests.harness.shared_stack import Servers
from tests.harness.windows import Sender, parts_of, sampled

pytestmark = pytest.mark.e2e

MIB = 1024 * 1024
BUDGETS = {"filesystem": 8 * MIB, "swift": 8 * MIB, "s3": 24 * MIB}
"""Windows of at least six segments. S3's have 5 MiB at least, so there a window has four."""
SIZES = {"filesystem": 14 * MIB, "swift": 14 * MIB, "s3": 38 * MIB}


@pytest.fixture(scope="module", params=list(BUDGETS))
def store_cell(
    request: pytest.FixtureRequest, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CellProcesses]:
    directory = tmp_path_factory.mktemp("windows")
    with cell_processes(servers, directory, store=request.param, temp_budget_bytes=BUDGETS[request.param]) as started:
        yield started


@pytest.fixture
async def cell(store_cell: CellProcesses) -> AsyncIterator[Cell]:
    async with store_cell.connected() as connected:
        yield connected


def padded(layout: str, size_bytes: int) -> bytes:
    """A film of this size: random bytes, which players skip (ISO/IEC 14496-12, 8.1.2), follow its media data."""
    data = film(layout)
    cut = data.rindex(b"moov") - 4 if layout == "mp4, index at the end" else len(data)
    room_bytes = size_bytes - len(data)
    return data[:cut] + room_bytes.to_bytes(4, "big") + b"free" + noise(room_bytes - 8) + data[cut:]


@pytest.mark.parametrize("layout", ["mp4, index in front", "mp4, index at the end"])
async def test_metadata_of_a_file_in_a_window_is_known_early(cell: Cell, layout: str) -> None:
    """Only the first segment, and those that are wanted, are sent until then."""
    data = padded(layout, SIZES[cell.settings.store])
    async with sampled(cell) as samples:
        upload = await cell.create(len(data))
        assert upload["window_size"] < len(data)
        sent = await send_wanted(cell, upload, data, lambda view: view["media"] is not None)
        view = await cell.status(upload["id"])
        assert view["status"] == "receiving"
        media = view["media"]
        assert {stream["type"] for stream in media["streams"]} == {"video", "audio"}
        sent |= await send_wanted(cell, upload, data, lambda view: view["stages"]["thumbnail"]["state"] == "done")
        assert len(sent) <= (3 if cell.settings.store == "s3" else 12), sorted(sent)
        ready = await asyncio.wait_for(Sender(cell, upload, parts_of(upload, data)).until_ready(), 120)
    samples.require_within(BUDGETS[cell.settings.store], files=1)
    content = await cell.content(ready["content_id"])
    assert content["media"] == media
    assert (await cell.read(content["thumbnail"]["key"]))[:3] == b"\xff\xd8\xff"
    await cell.until_clean()


async def test_noise_in_a_window_is_refused_before_a_tenth_of_it_is_sent(cell: Cell) -> None:
    data = noise(160 * MIB if cell.settings.store == "s3" else 32 * MIB)
    upload = await cell.create(len(data), filename="film.mp4")
    assert upload["window_size"] < len(data)
    sent = await send_wanted(cell, upload, data, lambda view: view["status"] == "failed")
    assert (await cell.status(upload["id"]))["error"]["code"] == "NOT_MEDIA"
    assert len(sent) * upload["segment_size"] < len(data) / 10, sorted(sent)
    await cell.until_clean()


@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
async def test_a_digest_announced_for_a_file_in_a_window_is_compared(cell: Cell, right: bool) -> None:
    data = long_video(SIZES[cell.settings.store], seed=3)
    digest = b64encode(hashlib.sha256(data if right else data[1:]).digest()).decode()
    upload = await cell.create(
        len(data),
        filename="film.mkv",
        content_type="video/x-matroska",
        digest=f"sha-256=:{digest}:",
    )
    assert upload["window_size"] < len(data)
    sender = Sender(cell, upload, parts_of(upload, data))
    if right:
        view = await asyncio.wait_for(sender.until_ready(), 120)
        assert view["digest"] == upload["digest"]
        assert view["stages"]["assemble"]["state"] == "done"
    else:
        await asyncio.wait_for(sender.send(dict.fromkeys(range(1, upload["segment_count"] + 1))), 120)
        view = await cell.until(upload["id"], "failed")
        assert view["error"]["code"] == "FILE_DIGEST_WRONG"
        assert view["content_id"] is None
    await cell.until_clean()
