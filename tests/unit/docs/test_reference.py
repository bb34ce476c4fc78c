"""The README's tables list exactly the settings, error codes and metrics of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploy.cli.root import COMMANDS
from deploy.reference import with_tables
from pipeline.settings import Settings

pytestmark = pytest.mark.unit

_README = Path(__file__).parents[3] / "README.md"


def test_the_tables_of_the_readme_match_the_code() -> None:
    text = _README.read_text("utf-8")
    assert with_tables(text) == text, "run `make docs`"


def test_the_table_of_commands_lists_every_command() -> None:
    listed = re.findall(r"^\| `sluice (\w+)[^`]*` \| \S", _README.read_text("utf-8"), re.MULTILINE)
    assert listed == list(COMMANDS)


def test_every_setting_has_a_description() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_missing_markers_raise() -> None:
    with pytest.raises(ValueError, match="settings"):
        with_tables("no markers here")
