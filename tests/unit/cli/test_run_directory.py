"""The directory of one run of `sluice up`."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from deploy.cli.run_directory import RunDirectory

pytestmark = pytest.mark.unit


def test_a_run_without_directory_creates_its_own_and_deletes_it(tmp_path: Path) -> None:
    run = RunDirectory.of_its_own(tmp_path, keep=False)
    (run.path / "data").write_text("x")
    run.close()
    assert list(tmp_path.iterdir()) == []


def test_a_failed_run_leaves_its_directory_and_the_next_run_deletes_it(tmp_path: Path) -> None:
    run = RunDirectory.of_its_own(tmp_path, keep=False)
    run.close(leave=True)
    assert run.path.exists()
    run.path.rename(tmp_path / "run-earlier")  # its name contains the process id, and both runs are in this process
    RunDirectory.of_its_own(tmp_path, keep=False).close()
    assert list(tmp_path.iterdir()) == []


def test_a_directory_in_use_is_not_deleted(tmp_path: Path) -> None:
    run = RunDirectory.of_its_own(tmp_path, keep=False)
    run.path.rename(tmp_path / "run-earlier")
    RunDirectory.of_its_own(tmp_path, keep=False).close()
    assert (tmp_path / "run-earlier").exists()


def test_a_directory_with_keep_is_not_deleted(tmp_path: Path) -> None:
    run = RunDirectory.of_its_own(tmp_path, keep=True)
    run.close()
    run.path.rename(tmp_path / "run-kept")
    RunDirectory.of_its_own(tmp_path, keep=False).close()
    assert (tmp_path / "run-kept").exists()


def test_a_kept_directory_can_be_used_again(tmp_path: Path) -> None:
    run = RunDirectory.of_its_own(tmp_path, keep=True)
    (run.path / "data").write_text("x")
    run.close()
    again = RunDirectory.named(run.path, fresh=False)
    again.close()
    assert (run.path / "data").read_text() == "x"


def test_a_directory_with_other_files_is_neither_used_nor_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    for fresh in (True, False):
        with pytest.raises(click.ClickException, match="contains other files"):
            RunDirectory.named(tmp_path, fresh=fresh)
    assert (tmp_path / "thesis.tex").exists()


def test_two_runs_cannot_use_the_same_directory(tmp_path: Path) -> None:
    run = RunDirectory.named(tmp_path / "d", fresh=False)
    with pytest.raises(click.ClickException, match="Another `sluice up`"):
        RunDirectory.named(tmp_path / "d", fresh=False)
    run.close()
    RunDirectory.named(tmp_path / "d", fresh=False).close()


def test_fresh_deletes_the_data_of_an_earlier_run(tmp_path: Path) -> None:
    run = RunDirectory.named(tmp_path / "d", fresh=False)
    (run.path / "redis").mkdir()
    (run.path / "file").write_text("x")
    run.close()
    RunDirectory.named(tmp_path / "d", fresh=True).close()
    assert not (tmp_path / "d" / "redis").exists()
    assert not (tmp_path / "d" / "file").exists()
