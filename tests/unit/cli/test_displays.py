"""The progress of `sluice upload` for people, on a terminal and in a pipe."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from deploy.cli.displays import BarDisplay, PlainDisplay, display_for
from deploy.cli.formatting import format_clock, format_part
from deploy.cli.upload_progress import UploadProgress

pytestmark = pytest.mark.unit

MIB = 1024 * 1024
DECIMAL_UNITS = re.compile(r"\d [kKMGT]B")


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def plain(clock: Clock) -> tuple[PlainDisplay, io.StringIO]:
    written = io.StringIO()
    return PlainDisplay(Console(file=written, width=80), clock), written


def send(display: PlainDisplay, progress: UploadProgress, sent: int) -> None:
    progress.under_way[1] = sent
    display.observe("bytes", progress, {})


def test_a_pipe_gets_lines_with_percent_amount_rate_and_time_left() -> None:
    clock = Clock()
    display, written = plain(clock)
    display.expect(1, 100 * MIB)
    film = UploadProgress(Path("film.mp4"), 100 * MIB)
    for second in range(11):
        clock.now = float(second)
        send(display, film, second * 10 * MIB)
    lines = written.getvalue().splitlines()
    assert "film.mp4: 50 %, 50.0 of 100.0 MiB, 10.0 MiB/s, 0:05 left" in lines
    assert lines[-1] == "film.mp4: 100 %, 100.0 of 100.0 MiB, 10.0 MiB/s"
    assert len(lines) == 10
    assert "\x1b" not in written.getvalue()


def test_a_pipe_gets_at_most_one_line_a_second_and_one_every_ten_seconds() -> None:
    clock = Clock()
    display, written = plain(clock)
    display.expect(1, 1000 * MIB)
    film = UploadProgress(Path("film.mp4"), 1000 * MIB)
    for step in range(500):
        clock.now = step / 1000
        send(display, film, step * MIB)
    assert written.getvalue() == ""
    for second in range(1, 21):
        clock.now = 0.5 + second
        send(display, film, 500 * MIB + second)
    assert len(written.getvalue().splitlines()) == 2


def test_many_files_share_one_line() -> None:
    clock = Clock()
    display, written = plain(clock)
    display.expect(2, 20 * MIB)
    for number in (1, 2):
        clock.now = 2.0 * number
        send(display, UploadProgress(Path(f"{number}.jpg"), 10 * MIB), 10 * MIB)
    assert written.getvalue().splitlines()[0].startswith("0 of 2 files: 50 %, 10.0 of 20.0 MiB")


def test_what_an_earlier_run_has_sent_is_no_rate() -> None:
    clock = Clock()
    display, written = plain(clock)
    display.expect(1, 100 * MIB)
    film = UploadProgress(Path("film.mp4"), 100 * MIB)
    for second, sent in enumerate((50, 51, 52, 53)):
        clock.now = float(second)
        send(display, film, sent * MIB)
    clock.now = 12.0
    send(display, film, 62 * MIB)
    assert "62 %, 62.0 of 100.0 MiB, 1.0 MiB/s, 0:38 left" in written.getvalue()


def test_control_characters_of_names_are_escaped_and_lines_are_not_wrapped() -> None:
    display, written = plain(Clock())
    display.failed(Path("a\nb\x1b[2J.mp4"), "FILE_EMPTY", "The file is empty. " + "x" * 200)
    display.skipped(Path("c\t.mp4"), "the same file as d.mp4")
    first, second = written.getvalue().splitlines()
    assert first == r"not sent a\nb\x1b[2J.mp4: The file is empty. " + "x" * 200
    assert second == r"skipped c\t.mp4: the same file as d.mp4"


@pytest.mark.parametrize("width", [60, 80, 200])
def test_bars_show_percent_amount_rate_and_time_left_within_the_terminal(width: int) -> None:
    clock, written = Clock(), Terminal()
    console = Console(file=written, width=width, force_terminal=True, color_system=None, get_time=clock)
    display = BarDisplay(console, clock)
    display.expect(2, 300 * MIB)
    film = UploadProgress(Path("a rather long name of a film.mp4"), 200 * MIB)
    for second in range(5):
        clock.now = float(second)
        film.under_way[1] = second * 10 * MIB
        display.observe("bytes", film, {})
    with console.capture() as capture:
        console.print(display.rendered())
    total, line = capture.get().splitlines()
    assert max(len(total), len(line)) <= width
    assert re.search(r"0 of 2 files .* 13 % +40.0 of 300.0 MiB +10.0", total)
    assert re.search(r"a rather long .* 20 % +40.0 of 200.0 MiB +10.0", line)
    if width >= 80:
        assert "10.0 MiB/s, 0:26 left" in total
        assert "10.0 MiB/s, 0:16 left" in line
    assert not DECIMAL_UNITS.search(capture.get())


def test_bars_appear_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(display_for(Console(file=Terminal())), BarDisplay)
    assert isinstance(display_for(Console(file=io.StringIO())), PlainDisplay)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(display_for(Console(file=io.StringIO())), PlainDisplay)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(display_for(Console(file=Terminal())), PlainDisplay)


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 0, "0 of 0 B"),
        (512, 1000, "512 of 1000 B"),
        (512 * 1024, 10 * MIB, "0.5 of 10.0 MiB"),
        (MIB, 1024 * MIB, "0.0 of 1.0 GiB"),
    ],
)
def test_a_part_has_the_unit_of_the_whole(part: int, whole: int, text: str) -> None:
    assert format_part(part, whole) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (42.4, "0:42"), (75, "1:15"), (3725, "1:02:05")])
def test_a_time_left_is_shown_as_on_a_clock(seconds: float, text: str) -> None:
    assert format_clock(seconds) == text
