"""The reference in docs/ lists exactly the settings, error codes, metrics, commands and routes of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploy.cli.root import COMMANDS
from deploy.reference import TABLES, with_tables
from pipeline.settings import Settings

pytestmark = pytest.mark.unit

_REPOSITORY = Path(__file__).parents[3]
_COMMANDS = _REPOSITORY / "docs/reference/commands.md"


@pytest.mark.parametrize("document", TABLES)
def test_the_reference_matches_the_code(document: str) -> None:
    text = (_REPOSITORY / document).read_text("utf-8")
    assert with_tables(document, text) == text, "run `make docs`"


def test_the_table_of_commands_lists_every_command() -> None:
    listed = re.findall(r"^\| `sluice (\w+)[^`]*` \| \S", _COMMANDS.read_text("utf-8"), re.MULTILINE)
    assert listed == list(COMMANDS)


def test_every_setting_has_a_description() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_missing_markers_raise() -> None:
    with pytest.raises(ValueError, match="settings"):
        with_tables("docs/reference/settings.md", "no markers here")
