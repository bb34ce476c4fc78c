"""`sluice up`: real processes, and none of them left however it ends."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from deploy.cli.processes import import_path
from deploy.embedded.ffmpeg import ffmpeg_path
from tests.harness.up import Up, wait_until_gone
from tests.programs.bench.samples import make_large_video

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def test_it_uploads_a_file_and_shows_the_content_and_a_download_command_that_works(tmp_path: Path) -> None:
    film = tmp_path / "my film.mp4"
    make_large_video(ffmpeg_path(), film, 25 * 1024 * 1024)
    run = Up(tmp_path / "run", "--file", str(film))
    try:
        command = run.wait_for(" download sluice ").strip()
        shown = "".join(run.lines)
        assert "my film.mp4 is content" in shown
        assert re.search(r"segments +3, joined by a manifest", shown)
        assert re.search(r"object +sluice/contents/[0-9a-f-]+/original", shown)
        (variables,) = (tmp_path / "run").glob(".sluice/*/env.sh")
        script = f". {shlex.quote(str(variables))}; {command}"
        subprocess.run(["bash", "-c", script], cwd=tmp_path / "run", check=True, capture_output=True)
        assert (tmp_path / "run" / film.name).read_bytes() == film.read_bytes()
        run.process.send_signal(signal.SIGINT)
        assert run.end() == 0, run.lines
        assert list((tmp_path / "run" / ".sluice").iterdir()) == []
    finally:
        run.close()


def test_once_with_a_file_that_is_not_media_ends_with_1_and_the_reason(tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("no video at all\n")
    run = Up(tmp_path / "run", "--file", str(text), "--once")
    assert run.end() == 1
    assert any("[NOT_MEDIA]" in line for line in run.lines)


def test_two_runs_at_once_leave_no_process_after_sigterm_and_after_sigkill(tmp_path: Path) -> None:
    polite, killed = Up(tmp_path / "polite"), Up(tmp_path / "killed")
    try:
        addresses = {run.wait_for("API").split()[-1] for run in (polite, killed)}
        assert len(addresses) == 2
        families = {run: run.family() for run in (polite, killed)}
        assert all(len(family) > 5 for family in families.values())

        killed.close()
        wait_until_gone(families[killed])

        polite.process.send_signal(signal.SIGTERM)
        assert polite.end() == 0, polite.lines
        wait_until_gone(families[polite])
        assert list((tmp_path / "polite" / ".sluice").iterdir()) == []
    finally:
        for run in (polite, killed):
            run.close()


def test_a_process_that_dies_is_named_and_stops_everything(tmp_path: Path) -> None:
    run = Up(tmp_path / "run")
    try:
        run.wait_for("watch uploads")
        family = run.family()
        worker = next(member for member in family if "worker" in _command_line(member))
        worker.kill()
        assert run.end() == 1
        shown = "\n".join(run.lines)
        assert "worker-all died" in shown
        assert "process.started" in shown, "the last lines of its log are missing"
        wait_until_gone(family)
    finally:
        run.close()


def test_a_later_run_in_the_same_directory_finds_its_data(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    make_large_video(ffmpeg_path(), film, 1024 * 1024)
    data = tmp_path / "data"
    first = Up(tmp_path / "a", "--file", str(film), "--once", "--directory", str(data))
    assert first.end() == 0, first.lines
    # The servers have ended with the command.
    assert not any("Download it" in line for line in first.lines)
    again = Up(tmp_path / "b", "--directory", str(data))
    try:
        url = again.wait_for("API").split()[-1].removesuffix("/v1/uploads")
        asked = subprocess.run(
            [sys.executable, "-m", "deploy.cli", "status", "--json", "--server", url],
            env={**os.environ, "PYTHONPATH": import_path()},
            capture_output=True,
            check=True,
        )
        assert [view["status"] for view in json.loads(asked.stdout)] == ["ready"]
        again.process.send_signal(signal.SIGINT)
        assert again.end() == 0, again.lines
    finally:
        again.close()


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.NoSuchProcess:
        return []
