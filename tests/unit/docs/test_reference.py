"""The README lists every setting, error code and metric, as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.reference import with_tables
from pipeline.settings import Settings

pytestmark = pytest.mark.unit

_README = Path(__file__).parents[3] / "README.md"


def test_readme_is_what_the_code_says() -> None:
    text = _README.read_text("utf-8")
    assert with_tables(text) == text, "run `make docs`"


def test_every_setting_says_what_it_means() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_a_missing_place_is_noticed() -> None:
    with pytest.raises(ValueError, match="settings"):
        with_tables("no places here")
