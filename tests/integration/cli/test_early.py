"""`sluice upload` and `sluice status` against real servers: files larger than the temp volume, and early metadata."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.media_samples import sample
from tests.harness.running import cell_processes
from tests.harness.shared_stack import Servers
from tests.integration.cli.conftest import FILM_BYTES, SEGMENT_BYTES, Cell, Sluice, command_for, events
from tests.integration.cli.test_upload import holding_line, is_segment, manifest_etag, numbers_sent, read_until
from tests.programs.torture.files import with_gap

pytestmark = pytest.mark.integration

BUDGET_BYTES = 8 * SEGMENT_BYTES
SEGMENTS = 40


@pytest.fixture(scope="module")
def small_cell(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    """Its temp volume holds a fifth of the film."""
    with cell_processes(
        servers,
        tmp_path_factory.mktemp("small"),
        segment_bytes=SEGMENT_BYTES,
        temp_budget_bytes=BUDGET_BYTES,
        temp_headroom_bytes=0,
    ) as started:
        yield Cell(servers, started.processes, dict(started.environment))


@pytest.fixture
def sluice(small_cell: Cell, tmp_path: Path) -> Iterator[Sluice]:
    with command_for(small_cell, tmp_path) as command:
        yield command


def film_of(path: Path, segments: int, *, index_last: bool) -> Path:
    """A video of so many segments of random bytes, with its index in the first or in the last one."""
    data = sample("mp4").read_bytes()
    room = segments * SEGMENT_BYTES - len(data) - 8
    box = (8 + room).to_bytes(4, "big") + b"free" + os.urandom(room)
    path.write_bytes(with_gap(data, box) if index_last else data + box)
    return path


@pytest.mark.parametrize("index_last", [False, True], ids=["index first", "index last"])
def test_a_file_larger_than_the_temp_volume_is_stored_byte_for_byte(
    sluice: Sluice, tmp_path: Path, index_last: bool
) -> None:
    film = film_of(tmp_path / "film.mp4", SEGMENTS, index_last=index_last)
    result = sluice.run("upload", str(film), "--json", "--concurrency", "8")
    seen = events(result.stdout)
    assert result.returncode == 0, seen[-1]
    upload = seen[-1]["upload"]
    assert seen[-1]["content"]["object"]["etag"] == manifest_etag(film, upload["segment_size"])
    assert set(numbers_sent(seen)) == set(range(1, upload["segment_count"] + 1))
    assert 0 < upload["window_size"] <= BUDGET_BYTES
    (media,) = (number for number, event in enumerate(seen) if event["event"] == "media")
    assert sum(event["event"] == "segment" for event in seen[media:]) > upload["segment_count"] // 2
    assert seen[media]["media"]["container"] == "mp4"


def test_several_files_larger_than_the_temp_volume_take_turns(sluice: Sluice, tmp_path: Path) -> None:
    films = [film_of(tmp_path / f"{number}.mp4", 20, index_last=number % 2 == 0) for number in range(4)]
    result = sluice.run("upload", *map(str, films), "--json")
    ended = [event for event in events(result.stdout) if event["event"] == "ended"]
    assert [event["status"] for event in ended] == ["ready"] * 4
    for event in ended:
        etag = manifest_etag(Path(event["file"]), event["upload"]["segment_size"])
        assert event["content"]["object"]["etag"] == etag


@pytest.mark.parametrize("index_last", [False, True], ids=["index first", "index last"])
def test_the_segments_that_mostly_hold_the_metadata_are_sent_first(
    cell: Cell, sluice: Sluice, tmp_path: Path, index_last: bool
) -> None:
    film = film_of(tmp_path / "film.mp4", SEGMENTS, index_last=index_last)
    seen = events(sluice.run("upload", str(film), "--server", cell.url, "--json").stdout)
    count = seen[-1]["upload"]["segment_count"]
    assert seen[-1]["upload"]["window_size"] is None
    assert numbers_sent(seen)[:2] == [1, count]
    assert sorted(numbers_sent(seen)) == list(range(1, count + 1))


def test_metadata_is_one_line_before_the_last_one(sluice: Sluice, tmp_path: Path) -> None:
    film = film_of(tmp_path / "film.mp4", SEGMENTS, index_last=True)
    lines = sluice.run("upload", str(film)).stderr.splitlines()
    (shown,) = (number for number, line in enumerate(lines) if line.startswith("film.mp4: mp4, h264 320x240, "))
    assert lines[-1].startswith("ready film.mp4 is content ")
    assert shown < len(lines) - 1


@pytest.mark.parametrize("kind", ["noise", "text"])
async def test_a_file_that_is_not_media_stops_the_client_early(
    cell: Cell, sluice: Sluice, tmp_path: Path, kind: str
) -> None:
    """With the reason and the exit status of any other failure, while segments that never end are on their way."""
    data = os.urandom(FILM_BYTES) if kind == "noise" else b"no video at all\n" * (FILM_BYTES // 16)
    film = tmp_path / "film.mp4"
    film.write_bytes(data)
    async with holding_line(cell, segments=60) as line:
        arguments = ("upload", str(film), "--server", line.url)
        printed = await asyncio.to_thread(sluice.run, *arguments, "--json")
        seen = events(printed.stdout)
        assert printed.returncode == 1
        assert (seen[-1]["event"], seen[-1]["error"]["code"]) == ("ended", "NOT_MEDIA")
        assert len(numbers_sent(seen)) <= 60
    async with holding_line(cell, segments=60) as line:
        arguments = ("upload", str(film), "--server", line.url)
        lines = await asyncio.to_thread(sluice.run, *arguments)
    assert lines.returncode == 1
    assert lines.stderr.splitlines()[-1].startswith("failed film.mp4: ")
    assert lines.stderr.splitlines()[-1].endswith("[NOT_MEDIA]")


def test_the_status_shows_metadata_and_the_window(sluice: Sluice, tmp_path: Path) -> None:
    film = film_of(tmp_path / "film.mp4", SEGMENTS, index_last=False)
    process = sluice.start("upload", str(film), "--json", "--concurrency", "1")
    seen = read_until(process, lambda event: bool(event["event"] == "media"))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    lines = sluice.run("status", seen[-1]["upload_id"]).stdout.splitlines()
    facts: dict[str, str] = dict(line.split("\t", 1) for line in lines)
    assert facts["media"].startswith("video · mp4, h264 320x240")
    assert facts["window"].startswith("420.0 KiB")
    view: dict[str, Any] = json.loads(sluice.run("status", seen[-1]["upload_id"], "--json").stdout)
    assert view["media"]["container"] == "mp4"
    assert sluice.run("upload", str(film)).returncode == 0


def test_an_interrupted_upload_with_a_window_continues(sluice: Sluice, tmp_path: Path) -> None:
    film = film_of(tmp_path / "film.mp4", SEGMENTS, index_last=True)
    process = sluice.start("upload", str(film), "--json", "--concurrency", "1")
    seen = read_until(process, is_segment(10))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    again = events(sluice.run("upload", str(film), "--json").stdout)
    assert (again[0]["event"], again[-1]["status"]) == ("resumed", "ready")
    assert again[-1]["upload_id"] == seen[-1]["upload_id"]
    upload = again[-1]["upload"]
    assert len(numbers_sent(again)) <= upload["segment_count"] - 9
    assert again[-1]["content"]["object"]["etag"] == manifest_etag(film, upload["segment_size"])
