"""Uploads as text, for terminals of every width and for programs."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from deploy.cli.formatting import format_time
from deploy.cli.status_text import upload_line, upload_lines, upload_page, uploads_table
from schemas.media import AudioStream, MediaMetadata, VideoStream
from schemas.uploads import StageView, UploadError, UploadView
from tests.unit.cli.upload_views import CREATED, MIB, upload_view

pytestmark = pytest.mark.unit

ID = "01890000-0000-7000-8000-000000000001"


def view(**changes: object) -> UploadView:
    plain: dict[str, object] = {
        "id": ID,
        "status": "processing",
        "bytes_received": 3 * MIB,
        "bytes_stored": MIB,
        "missing_segments": [],
        "stages": {
            "probe": StageView(state="done", attempts=1, started_at=CREATED, finished_at=CREATED, error_code=None)
        },
    }
    return upload_view(3, **plain | changes)


def drawn(views: list[UploadView], width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as capture:
        console.print(uploads_table(views, console))
    return capture.get().splitlines()


def test_a_record_for_programs_is_one_line_of_seven_fields() -> None:
    time = format_time(CREATED)
    assert upload_line(view()) == f"{ID}\tprocessing\t3.0 MiB\t100 %\t33 %\t{time}\tfilm.mp4"


@pytest.mark.parametrize(
    ("deferred", "transport", "size", "text"),
    [
        ("length", "gateway", 10 * MIB, "unknown"),
        ("size", "direct", 0, "unknown"),
        ("size", "direct", 10 * MIB, "at least 10.0 MiB"),
    ],
)
def test_a_size_that_is_not_known_is_not_shown_as_one(deferred: str, transport: str, size: int, text: str) -> None:
    found = view(deferred=deferred, transport=transport, size=size)
    assert upload_line(found).split("\t")[2:5] == [text, "3.0 MiB", "1.0 MiB"]
    lines = list(upload_lines(found))
    assert f"file\tfilm.mp4 · video/mp4 · {text}" in lines
    assert "segments\tunknown number of 1.0 MiB · received 3.0 MiB, stored 1.0 MiB" in lines


def test_a_size_is_shown_where_only_the_length_of_segments_is_not_known() -> None:
    found = view(deferred="plan", transport="direct", size=10 * MIB)
    assert upload_line(found).split("\t")[2:5] == ["10.0 MiB", "30 %", "10 %"]
    assert "segments\tunknown number of 1.0 MiB · received 30 %, stored 10 %" in upload_lines(found)


def test_a_record_stays_one_line_whatever_the_name_is() -> None:
    line = upload_line(view(filename="a\nb\tc\x1b[1m" + "x" * 300))
    assert line.endswith(r"a\nb\tc\x1b[1m" + "x" * 300)
    assert line.count("\t") == 6


@pytest.mark.parametrize("width", [36, 40, 71, 72, 80, 100, 110, 200])
@pytest.mark.parametrize("filename", ["film.mp4", "a very long name of a film " * 9 + ".mp4"])
def test_ids_are_never_shortened_on_a_terminal(width: int, filename: str) -> None:
    views = [view(filename=filename, status="waiting", queue_position=123456), view(filename=filename)]
    assert sum(ID in line for line in drawn(views, width)) == 2


@pytest.mark.parametrize("width", [80, 100, 120])
def test_a_row_does_not_wrap(width: int) -> None:
    lines = drawn([view(filename="x" * 200), view()], width)
    assert len(lines) == 3
    assert max(map(len, lines)) <= width
    assert "3.0 MiB" in lines[1]
    assert "100 %" in lines[1]


def test_no_uploads() -> None:
    assert drawn([], 80) == ["No uploads."]


def test_a_page_for_programs_has_a_line_for_each_fact_and_stage() -> None:
    found = view(status="failed", error=UploadError(code="NOT_MEDIA", message="It\nis text."))
    assert list(upload_lines(found)) == [
        f"upload\t{ID}",
        "file\tfilm.mp4 · video/mp4 · 3.0 MiB",
        "status\tfailed",
        "segments\t3 of 1.0 MiB · received 100 %, stored 33 %",
        r"error" + "\t" + r"It\nis text. [NOT_MEDIA]",
        "stage probe\tdone\t1\t0 ms\t",
    ]


MEDIA = MediaMetadata(
    kind="video",
    container="mp4",
    duration_seconds=12.0,
    size_bytes=3 * 1024 * 1024,
    streams=(
        VideoStream(index=0, codec="h264", width=1920, height=1080, coded_width=1920, coded_height=1080),
        AudioStream(index=1, codec="aac"),
    ),
)


def test_a_page_shows_early_metadata_wanted_segments_and_the_window() -> None:
    found = view(
        status="receiving",
        missing_segments=[(2, 3)],
        wanted_segments=[(3, 3)],
        window_size=2 * 1024 * 1024,
        media=MEDIA,
    )
    assert list(upload_lines(found))[4:8] == [
        "missing\t2-3",
        "wanted\t3, for the metadata: send these next",
        "window\t2.0 MiB: the most that the server holds of this file at once",
        "media\tvideo · mp4, h264 1920x1080, aac, 12.0 s",
    ]


def test_a_page_of_an_upload_that_has_ended_shows_metadata_only() -> None:
    found = view(status="ready", wanted_segments=[(3, 3)], window_size=2 * 1024 * 1024, media=MEDIA)
    names = [line.partition("\t")[0] for line in upload_lines(found)]
    assert "media" in names
    assert not {"wanted", "window"} & {*names}


def test_a_page_of_an_older_server_lacks_nothing_else() -> None:
    old = view().model_dump(exclude={"wanted_segments", "window_size", "media"})
    assert list(upload_lines(UploadView.model_validate(old))) == list(upload_lines(view()))


@pytest.mark.parametrize("width", [36, 40, 71, 72, 80, 200])
def test_a_page_on_a_terminal_keeps_ids_whole(width: int) -> None:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as capture:
        console.print(upload_page(view(content_id=ID), console))
    assert sum(ID in line for line in capture.get().splitlines()) == 2
    assert "probe" in capture.get()
