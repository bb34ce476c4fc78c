"""docs/operations.md says what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.cli.doctor.redis_advice import rights

pytestmark = pytest.mark.unit


def test_the_rights_of_the_redis_user_are_those_that_the_doctor_advises() -> None:
    assert f"on >PASSWORD {rights('sluice')}\n" in Path("docs/operations.md").read_text()
