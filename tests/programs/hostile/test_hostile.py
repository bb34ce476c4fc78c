"""A short hostile run with every change; `make hostile` runs a long one. And the checks themselves."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.programs.hostile.canaries import canaries
from tests.programs.hostile.footprint import Footprint
from tests.programs.hostile.mutations import mutated
from tests.programs.hostile.run import Outcome, lines, run

pytestmark = pytest.mark.contract

_SEED = 7
_FILES = 100
_BEFORE = Footprint(2, frozenset({2}), 100 * 1024**2, 50 * 1024**2, 12, 6, 3)


@pytest.mark.timeout(900)
def test_hostile_files_touch_and_leave_nothing(tmp_path: Path) -> None:
    done: list[int] = []
    outcome = run(tmp_path, _SEED, _FILES, lambda number, _: done.append(number))
    assert not outcome.violations
    assert sorted(done) == list(range(_FILES))
    assert sum(outcome.results.values()) == _FILES
    assert outcome.results["NOT_MEDIA"]
    assert outcome.results["metadata and thumbnail"]
    assert list(lines(outcome, _SEED))[-1] == "0 violations"


def test_canaries_notice_a_child_that_is_not_confined(tmp_path: Path) -> None:
    with canaries(tmp_path) as traps:
        assert traps.touched() == []
        assert traps.prove() == []
        assert traps.touched() == []


@pytest.mark.parametrize(
    ("touch", "event"),
    [
        (lambda path: path.open("rb").close(), "the file was opened"),
        (lambda path: path.open("r+b").close(), "the file was opened"),
        (lambda path: path.write_bytes(b"x"), "the file was written"),
        (lambda path: path.chmod(0o600), "the attributes of the file were changed"),
        (lambda path: path.rename(path.with_name("other")), "the file was moved"),
        (lambda path: path.unlink(), "the file was deleted"),
    ],
)
def test_canaries_notice_whatever_is_done_to_the_file(tmp_path: Path, touch: object, event: str) -> None:
    assert callable(touch)
    with canaries(tmp_path) as traps:
        touch(traps.path)
        assert event in traps.touched()


def test_canaries_notice_a_connection(tmp_path: Path) -> None:
    with canaries(tmp_path) as traps:
        socket.create_connection(("127.0.0.1", traps.port), 10).close()
        assert traps.touched() == ["the port had 1 connections"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"processes": frozenset({2, 77})}, "processes are left: [77]"),
        ({"host": 3}, "the host was replaced: 2 became 3"),
        ({"worker_descriptors": 13}, "descriptors of the worker grew from 12 to 13"),
        ({"host_descriptors": 7}, "descriptors of the host grew from 6 to 7"),
        ({"worker_bytes": 140 * 1024**2}, "memory of the worker grew"),
        ({"host_bytes": 80 * 1024**2}, "memory of the host grew"),
        ({"worker_threads": 4}, "threads of the worker grew from 3 to 4"),
    ],
)
def test_what_is_left_is_a_violation(change: dict[str, Any], problem: str) -> None:
    assert replace(_BEFORE, **change).grown_since(_BEFORE)[0].startswith(problem)


def test_nothing_left_is_no_violation() -> None:
    assert _BEFORE.grown_since(_BEFORE) == []
    assert replace(_BEFORE, worker_bytes=_BEFORE.worker_bytes + 4096).grown_since(_BEFORE) == []


def test_a_seed_gives_the_same_files() -> None:
    corpus = [bytes(range(256)) * 40, b"moov" * 500]
    assert [mutated(1, number, corpus) for number in range(50)] == [mutated(1, number, corpus) for number in range(50)]
    assert [mutated(1, number, corpus) for number in range(50)] != [mutated(2, number, corpus) for number in range(50)]


def test_a_violation_is_in_the_summary() -> None:
    assert "VIOLATION: the file was opened" in lines(Outcome(violations=["the file was opened"]), 1)
