"""The state of an upload between two runs of `sluice upload`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.cli.resume import FORGET_AFTER_SECONDS, ResumeState, ResumeStates, UploadIdentity

pytestmark = pytest.mark.unit


def identity(path: Path, server: str = "http://here", **metadata: str) -> UploadIdentity:
    return UploadIdentity.of(path, path.stat(), server, "video/mp4", metadata)


def begin(states: ResumeStates, film: Path) -> ResumeState:
    return states.open(identity(film))[0]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"12345")
    return path


@pytest.fixture
def states(tmp_path: Path) -> ResumeStates:
    return ResumeStates(tmp_path / "states")


def test_the_next_run_finds_the_idempotency_key_before_the_gateway_has_responded(
    states: ResumeStates, film: Path
) -> None:
    begun, replaced = states.open(identity(film))
    assert begun.upload_id is None
    assert replaced is None
    assert states.open(identity(film)) == (begun, None)


def test_the_next_run_finds_the_upload_id(states: ResumeStates, film: Path) -> None:
    kept = states.keep_id(begin(states, film), "upload-1")
    assert states.open(identity(film)) == (kept, None)
    assert kept.upload_id == "upload-1"


def test_a_path_through_a_symlink_is_the_same_file(states: ResumeStates, film: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(film)
    assert identity(link).name == identity(film).name


@pytest.mark.parametrize("change", [lambda film: os.utime(film, ns=(1, 1)), lambda film: film.write_bytes(b"123")])
def test_a_changed_file_is_a_new_upload_and_returns_the_state_it_replaces(
    states: ResumeStates, film: Path, change: Callable[[Path], object]
) -> None:
    before = states.keep_id(begin(states, film), "upload-1")
    change(film)
    state, replaced = states.open(identity(film))
    assert state.idempotency_key != before.idempotency_key
    assert state.upload_id is None
    assert replaced == before
    assert states.open(identity(film)) == (state, None)


@pytest.mark.parametrize("other", [{"server": "http://there"}, {"album": "summer"}])
def test_another_server_or_other_metadata_is_another_upload(
    states: ResumeStates, film: Path, other: dict[str, str]
) -> None:
    state, replaced = states.open(identity(film, **other))
    assert state.idempotency_key != begin(states, film).idempotency_key
    assert replaced is None


def test_the_state_of_an_ended_upload_is_deleted(states: ResumeStates, film: Path) -> None:
    state = states.keep_id(begin(states, film), "upload-1")
    states.forget(state)
    states.forget(state)
    assert begin(states, film).upload_id is None


def test_beginning_again_uses_another_idempotency_key(states: ResumeStates, film: Path) -> None:
    first = begin(states, film)
    assert states.begin(identity(film)).idempotency_key != first.idempotency_key


@pytest.mark.parametrize("rubbish", [b"", b"{", b'{"name": 1}', b"\xff\xfe"])
def test_a_damaged_state_is_replaced_by_a_new_one(
    states: ResumeStates, film: Path, tmp_path: Path, rubbish: bytes
) -> None:
    state = begin(states, film)
    (tmp_path / "states" / f"{state.name}.json").write_bytes(rubbish)
    assert begin(states, film).upload_id is None


def test_only_the_owner_can_read_states(states: ResumeStates, film: Path, tmp_path: Path) -> None:
    states.open(identity(film))
    assert (tmp_path / "states").stat().st_mode & 0o077 == 0


def test_old_states_are_deleted(states: ResumeStates, film: Path, tmp_path: Path) -> None:
    kept = begin(states, film)
    old, _ = states.open(identity(film, "http://old"))
    past = time.time() - FORGET_AFTER_SECONDS - 60
    os.utime(tmp_path / "states" / f"{old.name}.json", (past, past))
    states.sweep()
    assert [file.stem for file in (tmp_path / "states").iterdir()] == [kept.name]


def test_deleting_old_states_without_a_directory_does_nothing(tmp_path: Path) -> None:
    ResumeStates(tmp_path / "never made").sweep()


def test_the_state_directory_is_below_xdg_state_home(
    monkeypatch: pytest.MonkeyPatch, film: Path, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    ResumeStates.of_user().open(identity(film))
    assert list((tmp_path / "xdg" / "sluice" / "uploads").glob("*.json"))


def test_a_relative_xdg_state_home_is_ignored_as_the_specification_demands(
    monkeypatch: pytest.MonkeyPatch, film: Path, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    ResumeStates.of_user().open(identity(film))
    assert list((tmp_path / ".local" / "state" / "sluice" / "uploads").glob("*.json"))
