"""`sluice upload` of many small files: what it costs the server, and that processing holds nothing back."""

from __future__ import annotations

import re
import shutil
import urllib.request
from pathlib import Path

import pytest

from deploy.embedded.ffmpeg import ffmpeg_path
from deploy.embedded.process import run_all
from tests.integration.cli.conftest import Cell, Sluice, events
from tests.integration.cli.test_upload import read_until
from tests.programs.bench.samples import make_photo

pytestmark = pytest.mark.integration

_PHOTOS = 24


@pytest.fixture
def photos(cell: Cell, tmp_path: Path) -> list[str]:
    first = tmp_path / "0.jpg"
    make_photo(ffmpeg_path(), first)
    return [str(first), *(str(shutil.copy(first, tmp_path / f"{number}.jpg")) for number in range(1, _PHOTOS))]


def requests_by_route(cell: Cell) -> dict[str, float]:
    """How many requests the gateway has handled, by method and route."""
    with urllib.request.urlopen(f"{cell.url}/metrics") as response:  # noqa: S310  # the test's own gateway
        text = response.read().decode()
    counts: dict[str, float] = {}
    for labels, value in re.findall(r"^sluice_http_requests_total\{(.*)\} (\S+)$", text, re.MULTILINE):
        found = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        key = f"{found['method']} {found['route']}"
        counts[key] = counts.get(key, 0) + float(value)
    return counts


def test_many_photos_need_few_requests_and_no_event_streams(cell: Cell, sluice: Sluice, photos: list[str]) -> None:
    before = requests_by_route(cell)
    result = sluice.run("upload", *photos, "--json")
    assert result.returncode == 0, result.stdout
    assert [event["event"] for event in events(result.stdout)].count("ended") == _PHOTOS
    after = requests_by_route(cell)
    new = {route: count - before.get(route, 0) for route, count in after.items() if count != before.get(route, 0)}
    new.pop("GET /metrics", None)
    assert new.pop("GET /v1/uploads") == 1
    assert new.pop("POST /v1/uploads") == _PHOTOS
    assert new.pop("PUT /v1/uploads/{id}/segments/{number}") == _PHOTOS
    assert new.pop("GET /v1/contents/{id}") == _PHOTOS
    # The last file may be alone, and is followed by an event stream then.
    assert new.pop("GET /v1/uploads/{id}/events", 0) <= 1
    assert set(new) <= {"GET /v1/uploads/{id}"}


def test_files_that_the_server_processes_do_not_hold_back_the_next_ones(
    cell: Cell, sluice: Sluice, photos: list[str]
) -> None:
    worker = cell.sluice.child("worker-all")
    worker.stop()
    try:
        process = sluice.start("upload", *photos[:6], "--json", "--concurrency", "1")
        processed: set[str] = set()

        def fourth(event: dict[str, object]) -> bool:
            if event["event"] == "processing":
                processed.add(str(event["file"]))
            return len(processed) == 4

        seen = read_until(process, fourth)
        assert not any(event["event"] == "ended" for event in seen)
    finally:
        run_all([worker.bring_up()])
    rest, _ = process.communicate(timeout=90)
    assert process.returncode == 0
    assert [event["status"] for event in events(rest) if event["event"] == "ended"] == ["ready"] * 6


def test_files_that_wait_for_room_do_not_hold_back_one_that_is_sent_again(
    cell: Cell, sluice: Sluice, film: Path
) -> None:
    """The first two films fill the volume. One is damaged, so the server needs it again before there is room."""
    films = [film, *(film.with_name(f"film-{number}.mp4") for number in (2, 3, 4))]
    for other in films[1:]:
        shutil.copy(film, other)
    worker = cell.sluice.child("worker-all")
    worker.stop()
    try:
        process = sluice.start("upload", *map(str, films), "--json", "--concurrency", "1")
        reached: dict[str, set[str]] = {"processing": set(), "waiting": set()}
        uploads: dict[str, str] = {}

        def all_wait(event: dict[str, object]) -> bool:
            uploads[str(event["file"])] = str(event.get("upload_id"))
            reached.get(str(event["event"]), set()).add(str(event["file"]))
            return len(reached["processing"]) == 2 and len(reached["waiting"]) == 2

        read_until(process, all_wait)
        damaged = uploads[min(reached["processing"])]
        (temp_file,) = cell.temp_dir.glob(f"{damaged}*.data")
        with temp_file.open("r+b") as file:
            first = file.read(1)
            file.seek(0)
            file.write(bytes([first[0] ^ 1]))
    finally:
        run_all([worker.bring_up()])
    rest, _ = process.communicate(timeout=120)
    seen = events(rest)
    assert process.returncode == 0, rest
    assert [event["event"] for event in seen].count("lost") == 1
    assert [event["status"] for event in seen if event["event"] == "ended"] == ["ready"] * 4
