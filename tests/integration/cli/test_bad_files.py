"""`sluice upload` with files that cannot be sent: one line and one event for each, and the others are uploaded."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.embedded.ffmpeg import ffmpeg_path
from tests.harness.faults.kinds import Pass
from tests.integration.cli.conftest import Cell, Sluice, events
from tests.integration.cli.test_upload import held_upload, holding_line, upload_of
from tests.programs.bench.samples import make_photo

pytestmark = pytest.mark.integration


@pytest.fixture
def folder(cell: Cell, tmp_path: Path) -> Iterator[Path]:
    """A working directory with `good.jpg`."""
    folder = tmp_path / "files"
    folder.mkdir()
    make_photo(ffmpeg_path(), folder / "good.jpg")
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


def make_bad_files(folder: Path) -> dict[str, str]:
    """Names of files that cannot be sent, and their error codes."""
    (folder / "empty.mp4").touch()
    (folder / "empty\nname\x1b[2J.mp4").touch()
    (folder / "folder.mp4").mkdir()
    os.mkfifo(folder / "pipe.mp4")
    (folder / "loop.mp4").symlink_to("loop.mp4")
    (folder / "dangling.mp4").symlink_to("nowhere")
    return {
        "empty.mp4": "FILE_EMPTY",
        "empty\nname\x1b[2J.mp4": "FILE_EMPTY",
        "folder.mp4": "FILE_NOT_REGULAR",
        "pipe.mp4": "FILE_NOT_REGULAR",
        "/dev/zero": "FILE_NOT_REGULAR",
        "loop.mp4": "FILE_NOT_FOUND",
        "dangling.mp4": "FILE_NOT_FOUND",
        "missing.mp4": "FILE_NOT_FOUND",
        "good.jpg/missing.mp4": "FILE_NOT_FOUND",
        "x" * 300: "FILE_UNREADABLE",
        # Root may read every file, so a file that nobody may read cannot be made here; this one fails when it is read.
        "/proc/self/mem": "FILE_EMPTY",
    }


def test_each_bad_file_is_one_line_and_the_others_are_uploaded(sluice: Sluice, folder: Path) -> None:
    bad = make_bad_files(folder)
    result = sluice.run("upload", *bad, "good.jpg")
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert len([line for line in lines if line.startswith("not sent ")]) == len(bad)
    assert r"not sent empty\nname\x1b[2J.mp4: The file is empty." in lines
    assert lines[-1].startswith("ready good.jpg is content ")
    assert "Traceback" not in result.stderr


def test_each_bad_file_is_one_event_and_the_others_are_uploaded(sluice: Sluice, folder: Path) -> None:
    bad = make_bad_files(folder)
    result = sluice.run("upload", "good.jpg", *bad, "--json")
    assert (result.returncode, result.stderr) == (1, "")
    seen = events(result.stdout)
    failed = {event["file"]: event["error"]["code"] for event in seen if event["event"] == "gave_up"}
    assert failed == bad
    assert [(event["file"], event["status"]) for event in seen if event["event"] == "ended"] == [("good.jpg", "ready")]


NAMES = [b"new\nline.jpg", b"tab\t.jpg", b"back\\slash.jpg", b"caf\xe9.jpg", b"\x1b[31mred.jpg", "c1\x85.jpg".encode()]


def test_names_that_no_server_accepts_are_replaced_and_the_command_says_so(sluice: Sluice, folder: Path) -> None:
    for name in NAMES:
        shutil.copy("good.jpg", os.fsdecode(name))
    result = sluice.run("upload", *map(os.fsdecode, NAMES), "--json")
    assert result.returncode == 0, result.stdout
    seen = events(result.stdout)
    renamed = {os.fsencode(event["file"]): event["filename"] for event in seen if event["event"] == "renamed"}
    sent = ["new_line.jpg", "tab_.jpg", "back_slash.jpg", "caf_.jpg", "_[31mred.jpg", "c1_.jpg"]
    assert renamed == dict(zip(NAMES, sent, strict=True))
    assert {event["content"]["filename"] for event in seen if event["event"] == "ended"} == set(sent)
    lines = sluice.run("upload", os.fsdecode(NAMES[0])).stderr.splitlines()
    assert lines[0].startswith(r"new\nline.jpg is sent as new_line.jpg, because ")
    assert lines[-1].startswith(r"ready new\nline.jpg is content ")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--content-type", "foo"], "--content-type foo is not a media type such as video/mp4."),
        (["--content-type", "a\nb"], r"--content-type a\nb is not a media type such as video/mp4."),
        (["--metadata", "k=" + "x" * 1025], "--metadata k: the value is longer than 1024 characters."),
        (["--metadata", "k" * 65 + "=x"], f"--metadata {'k' * 64}…: the key is longer than 64 characters."),
        ([arg for n in range(33) for arg in ("--metadata", f"{n}=x")], "--metadata is given more than 32 times."),
        (["--metadata", "k=" + os.fsdecode(b"\xff")], "--metadata k is not valid UTF-8."),
        (["--metadata", os.fsdecode(b"\xff") + "=v"], "a key of --metadata is not valid UTF-8."),
    ],
)
def test_an_option_that_no_server_accepts_is_one_line_and_one_event_for_each_file(
    sluice: Sluice, folder: Path, options: list[str], problem: str
) -> None:
    shutil.copy("good.jpg", "other.jpg")
    result = sluice.run("upload", "good.jpg", "other.jpg", *options)
    assert result.returncode == 1
    assert sorted(result.stderr.splitlines()) == [f"not sent good.jpg: {problem}", f"not sent other.jpg: {problem}"]
    result = sluice.run("upload", "good.jpg", "other.jpg", *options, "--json")
    assert (result.returncode, result.stderr) == (1, "")
    assert [event["error"]["message"] for event in events(result.stdout)] == [problem, problem]


def test_a_file_that_is_named_twice_is_sent_once(sluice: Sluice, folder: Path) -> None:
    Path("link.jpg").symlink_to("good.jpg")
    result = sluice.run("upload", "good.jpg", "./good.jpg", "good.jpg", "link.jpg", str(folder / "good.jpg"), "--json")
    assert result.returncode == 0
    assert [event["event"] for event in events(result.stdout)].count("ended") == 1
    assert [event["event"] for event in events(result.stdout)].count("skipped") == 4


@pytest.mark.parametrize("change", ["truncate", "unlink"])
async def test_a_file_that_is_cut_or_deleted_while_it_is_sent_is_cancelled_at_once(
    cell: Cell, sluice: Sluice, film: Path, change: str
) -> None:
    async with holding_line(cell, segments=3) as line:
        process, seen = await held_upload(sluice, film, line, 3)
        if change == "truncate":
            os.truncate(film, 1000)
        else:
            film.unlink()
        await line.set(Pass())
        rest, printed = await asyncio.to_thread(process.communicate, timeout=60)
    assert (process.returncode, printed) == (1, "")
    assert events(rest)[-1]["error"]["code"] == "FileChangedError"
    assert (await asyncio.to_thread(upload_of, cell, seen[-1]["upload_id"])).status == "cancelled"


@pytest.mark.parametrize("state", ["/dev/null", "/proc/nowhere"])
def test_a_state_directory_that_cannot_be_written_is_a_warning(sluice: Sluice, folder: Path, state: str) -> None:
    result = sluice.run("upload", "good.jpg", XDG_STATE_HOME=state)
    assert result.returncode == 0, result.stderr
    warning, *_, last = result.stderr.splitlines()
    assert warning.startswith(f"Warning: an interrupted upload cannot be resumed: {state}")
    assert last.startswith("ready good.jpg")


@pytest.mark.parametrize("output", ["/dev/full", "closed pipe"])
def test_an_output_that_cannot_be_written_is_not_the_fault_of_a_file(sluice: Sluice, folder: Path, output: str) -> None:
    into = "| true" if output == "closed pipe" else f">{output}"
    result = sluice.shell(f'{{ sleep 0.1; $SLUICE upload --json good.jpg; echo "status $?" >&2; }} {into}')
    said = [] if output == "closed pipe" else ["Error: The output cannot be written: No space left on device."]
    assert result.stderr.splitlines() == [*said, "status 1"]
