"""Which shelters a start removes: those of stacks that are gone, and none that another start is making."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from deploy.embedded.shelter import sweep_shelters
from deploy.embedded.users import SystemUser

pytestmark = pytest.mark.unit

_USER = SystemUser("test", os.getuid(), os.getgid())


@pytest.mark.parametrize(("origin", "stays"), [("", True), ("gone", False)], ids=["just opened", "stack is gone"])
def test_a_shelter_that_is_being_made_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: str, stays: bool
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("deploy.embedded.shelter.can_reach", lambda user, path: True)
    shelter = tmp_path / "sluice-postgres-1"
    shelter.mkdir()
    (shelter / "origin").write_text(origin and str(tmp_path / origin))
    sweep_shelters(_USER)
    assert shelter.exists() is stays
