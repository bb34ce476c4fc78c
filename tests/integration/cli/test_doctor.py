"""`sluice doctor` and `sluice migrate` against real servers, well and ill."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import redis

from tests.integration.cli.conftest import Cell, Sluice

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def levels(sluice: Sluice, **variables: str) -> dict[str, set[str]]:
    """What the doctor found, by check."""
    result = sluice.run("doctor", "--json", **variables)
    found: dict[str, set[str]] = {}
    for finding in json.loads(result.stdout):
        assert set(finding) == {"check", "level", "finding", "advice"}
        assert finding["level"] == "ok" or finding["advice"]
        found.setdefault(finding["check"], set()).add(finding["level"])
    assert result.returncode == (1 if any("error" in found_levels for found_levels in found.values()) else 0)
    return found


def test_a_healthy_cell_has_no_errors(cell: Cell, sluice: Sluice) -> None:
    before = sorted(cell.temp_dir.iterdir())
    found = levels(sluice)
    assert list(found) == ["Redis", "PostgreSQL", "object store", "ffmpeg", "temp volume", "records"]
    assert not any("error" in found_levels for found_levels in found.values()), found
    assert found["Redis"] == {"ok"}
    assert found["PostgreSQL"] == {"ok"}
    assert sorted(cell.temp_dir.iterdir()) == before


def test_people_get_advice(sluice: Sluice, tmp_path: Path) -> None:
    result = sluice.run("doctor", SLUICE_TEMP_DIR=str(tmp_path / "gone"))
    assert result.returncode == 1
    assert "is not there" in result.stdout
    assert "SLUICE_TEMP_DIR" in result.stdout


@pytest.mark.parametrize(
    ("variable", "value", "check"),
    [
        ("SLUICE_REDIS_URL", "redis://127.0.0.1:9/0", "Redis"),
        ("SLUICE_DATABASE_URL", "postgresql://sluice@127.0.0.1:9/sluice", "PostgreSQL"),
        ("SLUICE_SWIFT_AUTH_URL", "http://127.0.0.1:9/auth/v1.0", "object store"),
        ("SLUICE_SWIFT_PASSWORD", "wrong", "object store"),
        ("SLUICE_FFPROBE", "/no/such/ffprobe", "ffmpeg"),
        ("SLUICE_FFMPEG", "/bin/true", "ffmpeg"),
        ("SLUICE_TEMP_DIR", "/proc/self", "temp volume"),
    ],
)
def test_one_thing_that_is_wrong_is_found_and_hides_nothing_else(
    sluice: Sluice, variable: str, value: str, check: str
) -> None:
    found = levels(sluice, **{variable: value})
    assert "error" in found.pop(check)
    assert not any("error" in found_levels for found_levels in found.values()), found


def test_a_database_that_is_not_there(cell: Cell, sluice: Sluice) -> None:
    url = cell.environment["SLUICE_DATABASE_URL"].rsplit("/", 1)[0] + "/nobody_made_it"
    assert "error" in levels(sluice, SLUICE_DATABASE_URL=url)["PostgreSQL"]


def test_a_redis_that_evicts_or_forgets(sluice: Sluice, redis_url: str) -> None:
    server: redis.Redis = redis.Redis.from_url(redis_url)
    with server:
        server.config_set("maxmemory-policy", "allkeys-lru")
        try:
            assert "error" in levels(sluice, SLUICE_REDIS_URL=redis_url)["Redis"]
        finally:
            server.config_set("maxmemory-policy", "noeviction")


def test_migrating_again_does_nothing(sluice: Sluice) -> None:
    result = sluice.run("migrate")
    assert result.returncode == 0
    assert "nothing to do" in result.stdout


def test_a_database_that_is_away_is_told_in_a_sentence(sluice: Sluice) -> None:
    result = sluice.run("migrate", SLUICE_DATABASE_URL="postgresql://sluice@127.0.0.1:9/sluice")
    assert result.returncode == 1
    assert "[DATABASE_UNAVAILABLE]" in result.stderr
    assert "Traceback" not in result.stderr
