"""Whose directory a run of `sluice up` works in."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from deploy.cli.run_directory import RunDirectory

pytestmark = pytest.mark.unit


def test_runs_without_a_directory_have_one_each_and_it_goes(tmp_path: Path) -> None:
    run = RunDirectory.of_its_own(tmp_path, keep=False)
    (run.path / "data").write_text("x")
    run.close()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_failed_leaves_its_directory_and_the_next_one_sweeps_it(tmp_path: Path) -> None:
    run = RunDirectory.of_its_own(tmp_path, keep=False)
    run.close(leave=True)
    assert run.path.exists()
    run.path.rename(tmp_path / "run-earlier")  # its name holds the process id, and both runs are in this process
    RunDirectory.of_its_own(tmp_path, keep=False).close()
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_in_use_is_not_swept(tmp_path: Path) -> None:
    run = RunDirectory.of_its_own(tmp_path, keep=False)
    run.path.rename(tmp_path / "run-earlier")
    RunDirectory.of_its_own(tmp_path, keep=False).close()
    assert (tmp_path / "run-earlier").exists()


def test_what_is_to_be_kept_is_kept(tmp_path: Path) -> None:
    run = RunDirectory.of_its_own(tmp_path, keep=True)
    run.close()
    run.path.rename(tmp_path / "run-kept")
    RunDirectory.of_its_own(tmp_path, keep=False).close()
    assert (tmp_path / "run-kept").exists()


def test_a_kept_directory_can_be_gone_on_with(tmp_path: Path) -> None:
    run = RunDirectory.of_its_own(tmp_path, keep=True)
    (run.path / "data").write_text("x")
    run.close()
    again = RunDirectory.named(run.path, fresh=False)
    again.close()
    assert (run.path / "data").read_text() == "x"


def test_somebody_elses_directory_is_neither_used_nor_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    for fresh in (True, False):
        with pytest.raises(click.ClickException, match="something else"):
            RunDirectory.named(tmp_path, fresh=fresh)
    assert (tmp_path / "thesis.tex").exists()


def test_two_runs_cannot_have_the_same_directory(tmp_path: Path) -> None:
    run = RunDirectory.named(tmp_path / "d", fresh=False)
    with pytest.raises(click.ClickException, match="Another `sluice up`"):
        RunDirectory.named(tmp_path / "d", fresh=False)
    run.close()
    RunDirectory.named(tmp_path / "d", fresh=False).close()


def test_fresh_empties_what_an_earlier_run_left(tmp_path: Path) -> None:
    run = RunDirectory.named(tmp_path / "d", fresh=False)
    (run.path / "redis").mkdir()
    (run.path / "file").write_text("x")
    run.close()
    RunDirectory.named(tmp_path / "d", fresh=True).close()
    assert not (tmp_path / "d" / "redis").exists()
    assert not (tmp_path / "d" / "file").exists()
