"""The options of `sluice verify`, which say what is compared."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from deploy.cli.root import sluice

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("arguments", [[], ["--sample", "3", "--all"]])
def test_what_is_compared_has_to_be_said_once(arguments: list[str]) -> None:
    result = CliRunner().invoke(sluice, ["verify", *arguments])
    assert result.exit_code == 2
    assert "either --sample N or --all" in result.output


@pytest.mark.parametrize("arguments", [["--sample", "0"], ["--all", "--rate", "0"], ["--all", "--orphan-days", "-1"]])
def test_numbers_that_say_nothing_are_refused(arguments: list[str]) -> None:
    assert CliRunner().invoke(sluice, ["verify", *arguments]).exit_code == 2
