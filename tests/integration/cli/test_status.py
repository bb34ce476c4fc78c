"""`sluice status`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.cli.conftest import SEGMENTS, Sluice, events

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


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
