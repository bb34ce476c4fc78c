"""Files that pin versions name no address: where packages come from is decided by the machine that installs them."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

REPOSITORY = Path(__file__).parents[3]
PINNED = [
    *(REPOSITORY / "deploy" / "constraints").glob("*.txt"),
    REPOSITORY / "tests" / "javascript" / "package-lock.json",
]


@pytest.mark.parametrize("file", PINNED, ids=lambda file: str(file.name))
def test_no_file_of_pinned_versions_has_an_address(file: Path) -> None:
    text = file.read_text()
    assert text
    assert [line.strip() for line in text.splitlines() if "://" in line] == []
