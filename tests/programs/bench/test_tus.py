"""The tus parts of the benchmark: what clients print, which figures follow from it, and a short run of both clients."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.processes import import_path
from tests.harness.javascript import require_javascript
from tests.programs.bench.tus_senders import best_sender, parse_sent, repeated
from tests.programs.bench.tus_stream import ratios, unit_of

SENT = {
    "file": "/films/a.mp4",
    "url": "http://127.0.0.1:8080/files/u1",
    "began": 1000,
    "ended": 2500,
    "statuses": [201, 423, 200, 204],
    "refusals": ["PATCH 423 APPEND_NO_ROOM"],
    "unanswered": 1,
}


def lines(*events: dict[str, Any]) -> list[bytes]:
    return [json.dumps(event).encode() for event in events]


@pytest.mark.unit
def test_what_a_client_has_sent() -> None:
    [sent] = parse_sent(lines(SENT))
    assert (sent.file, sent.upload_id) == (Path("/films/a.mp4"), "u1")
    assert (sent.began, sent.ended) == (1.0, 2.5)


@pytest.mark.unit
def test_a_file_that_a_client_has_given_up_is_an_error() -> None:
    failed = {**SENT, "error": "status 410"}
    with pytest.raises(RuntimeError, match=r"gave up 1 of 2 files: \['status 410'\]"):
        parse_sent(lines(SENT, failed))


@pytest.mark.unit
def test_requests_that_a_client_has_repeated_are_counted_by_their_reason() -> None:
    assert repeated(parse_sent(lines(SENT, SENT))) == {"PATCH 423 APPEND_NO_ROOM": 2, "no response": 2}
    assert repeated(parse_sent(lines({**SENT, "refusals": [], "unanswered": 0}))) == {}


@pytest.mark.unit
def test_ratios_need_the_peer() -> None:
    ours = {"s3, sluice: to stored": [2.0, 4.0], "s3, sluice: server CPU per GiB": [1.0, 1.0]}
    theirs = {"s3, @tus/server: to stored": [4.0, 2.0], "s3, @tus/server: server CPU per GiB": [2.0, 4.0]}
    assert ratios("s3", ours) == []
    assert [figure.samples for figure in ratios("s3", ours | theirs)] == [[0.5, 2.0], [0.5, 0.25]]


@pytest.mark.unit
def test_units_follow_from_names() -> None:
    names = ("s3, sluice: to stored", "s3, sluice: client CPU per GiB", "s3, sluice: requests repeated")
    assert [unit_of(name) for name in names] == ["s", "CPU s/GiB", ""]


def run(directory: Path, *arguments: str) -> tuple[str, dict[str, list[float]]]:
    """A run of the benchmark: what it prints, and the samples of its figures."""
    command = [sys.executable, "-m", "tests.programs.bench", "--repeat", "1", *arguments]
    environment = {**os.environ, "PYTHONPATH": import_path()}
    ran = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    report = json.loads((directory / "build" / "bench.json").read_text())
    return ran.stdout, {figure["name"]: figure["samples"] for figure in report["figures"]}


@pytest.mark.integration
def test_a_short_run_measures_both_servers_and_many_uploads(tmp_path: Path) -> None:
    require_javascript()
    arguments = ("--only", "tus-many", "--tus-uploads", "5", "--only", "tus-stream", "--size-mib", "25")
    _, found = run(tmp_path, *arguments)
    for name in ("all fit", "64 MiB fit"):
        assert found[f"{name}: ready"] == found[f"{name}: uploads created"] == [5]
        assert {f"{name}: gateway {number}: peak - before" for number in (1, 2)} <= set(found)
    for program in ("sluice", "@tus/server"):
        assert found[f"swift's s3, {program}: server CPU per GiB"][0] > 0
    [ours], [theirs] = (found[f"swift's s3, {program}: to stored"] for program in ("sluice", "@tus/server"))
    assert found["swift's s3, sluice / @tus/server: to stored"] == [pytest.approx(ours / theirs, rel=0.01)]


@pytest.mark.integration
def test_without_node_the_peer_is_reported_as_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender of our own takes the place of tus-js-client."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    assert best_sender().name == "own sender (aiohttp)"
    printed, found = run(tmp_path, "--only", "tus-stream", "--size-mib", "5")
    assert "NO PEER: Node.js is not installed" in printed
    assert found["swift, sluice: to stored"][0] > 0
    assert not any("@tus/server" in name for name in found)
