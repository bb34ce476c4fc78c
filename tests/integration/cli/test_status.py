"""`sluice status`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.cli.conftest import SEGMENTS, Sluice, events

pytestmark = pytest.mark.integration


@pytest.fixture
def upload_id(sluice: Sluice, film: Path) -> str:
    return str(events(sluice.run("upload", str(film), "--json").stdout)[-1]["upload_id"])


def test_uploads_are_listed_newest_first(sluice: Sluice, upload_id: str) -> None:
    assert json.loads(sluice.run("status", "--json", "--limit", "1").stdout)[0]["id"] == upload_id
    table = sluice.run("status").stdout
    assert upload_id in table
    assert "100 %" in table


def test_an_upload_is_shown_with_its_stages(sluice: Sluice, upload_id: str) -> None:
    page = sluice.run("status", upload_id).stdout
    assert f"{SEGMENTS} of 256.0 KiB" in page
    for stage in ("transfer", "seal", "assemble", "probe", "thumbnail", "persist"):
        assert stage in page
    assert json.loads(sluice.run("status", upload_id, "--json").stdout)["status"] == "ready"


def test_watching_an_upload_that_has_ended_ends_at_once(sluice: Sluice, upload_id: str) -> None:
    result = sluice.run("status", upload_id, "--json", "--watch")
    assert result.returncode == 0
    assert events(result.stdout)[-1]["id"] == upload_id


def test_a_filter_that_matches_nothing(sluice: Sluice) -> None:
    assert sluice.run("status", "--status", "expired").stdout.strip() == "No uploads."


def test_an_unknown_upload_is_an_error(sluice: Sluice) -> None:
    result = sluice.run("status", "01890000-0000-7000-8000-000000000000")
    assert result.returncode == 1
    assert "[UPLOAD_NOT_FOUND]" in result.stderr


def test_a_pipe_gets_one_line_for_each_upload_with_its_whole_id(sluice: Sluice, upload_id: str) -> None:
    lines = sluice.run("status", COLUMNS="80").stdout.splitlines()
    fields = [line.split("\t") for line in lines]
    assert {len(line) for line in fields} == {7}
    assert fields[0][:5] == [upload_id, "ready", "24.0 MiB", "100 %", "100 %"]
    assert fields[0][6] == "film.mp4"


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_a_terminal_shows_whole_ids(sluice: Sluice, upload_id: str, columns: str) -> None:
    for arguments in ("", upload_id):
        command = f"stty cols {columns}; $SLUICE status {arguments}"
        shown = sluice.shell(f"unset COLUMNS; script -qec '{command}' /dev/null").stdout
        assert upload_id in shown


def test_the_beginning_of_an_id_is_enough(sluice: Sluice, upload_id: str) -> None:
    for text in (upload_id[:-1], upload_id[:-1].upper()):
        assert f"upload\t{upload_id}" in sluice.run("status", text).stdout.splitlines()
    assert json.loads(sluice.run("status", upload_id[:30], "--json").stdout)["id"] == upload_id


def test_the_beginning_of_several_ids_lists_them_on_one_line(sluice: Sluice, film: Path, upload_id: str) -> None:
    other = str(events(sluice.run("upload", str(film), "--json").stdout)[-1]["upload_id"])
    result = sluice.run("status", upload_id[:2])
    (line,) = result.stderr.splitlines()
    assert result.returncode == 1
    assert line.startswith("Error: ")
    assert f"uploads have an id that begins with {upload_id[:2]}: {other}, {upload_id}" in line


def test_watching_into_a_pipe_prints_a_line_for_each_change(sluice: Sluice, upload_id: str) -> None:
    result = sluice.run("status", upload_id, "--watch")
    assert (result.returncode, result.stderr) == (0, "")
    (line,) = result.stdout.splitlines()
    assert line.split("\t")[:2] == [upload_id, "ready"]


def test_an_unknown_status_is_refused_with_a_list_of_the_known_ones(sluice: Sluice) -> None:
    result = sluice.run("status", "--status", "bogus")
    assert result.returncode == 2
    last = result.stderr.splitlines()[-1]
    assert "'bogus' is not one of 'granted', 'waiting', 'admitted', 'receiving'" in last
    assert sluice.run("status", "--status", "READY").returncode == 0
