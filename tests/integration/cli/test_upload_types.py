"""`sluice upload`: files whose type cannot be media are refused before they are sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.media_samples import sample
from tests.integration.cli.conftest import Sluice

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def test_a_program_is_refused_and_the_other_file_is_sent(sluice: Sluice, tmp_path: Path) -> None:
    text, film = tmp_path / "page.html", tmp_path / "film.mp4"
    text.write_text("<html></html>")
    film.write_bytes(sample("mp4").read_bytes())
    result = sluice.run("upload", str(text), str(film))
    assert result.returncode == 1
    output = result.stdout + result.stderr
    assert "[CONTENT_TYPE_NOT_MEDIA]" in output
    assert "Traceback" not in output
    assert "film.mp4 is content" in output


@pytest.mark.parametrize("name", ["film.ts", "film", "film.mkv"])
def test_a_name_never_makes_media_be_refused(sluice: Sluice, tmp_path: Path, name: str) -> None:
    """Some systems take `.ts` for a text; Sluice's own table has precedence."""
    film = tmp_path / name
    film.write_bytes(sample("mp4").read_bytes())
    result = sluice.run("upload", str(film))
    assert result.returncode == 0, result.stderr
    assert f"{name} is content" in result.stdout + result.stderr
