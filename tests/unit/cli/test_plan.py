"""`sluice plan` on the command line: what it accepts, what it refuses, and what it prints."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from deploy.cli.plan_constants import MEASURED, read_constants
from deploy.cli.processes import SEPARATE
from deploy.cli.root import sluice

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _default_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SLUICE_")]:
        monkeypatch.delenv(name)


def run(*more: str, uploads: str = "600", size: str = "100MiB", rate: str = "5MiB/s", **settings: str) -> Result:
    arguments = ["plan", "--uploads-per-hour", uploads, "--size", size, "--client-rate", rate, *more]
    return CliRunner().invoke(sluice, arguments, env=settings)


def planned(**options: str) -> dict[str, Any]:
    ran = run("--json", **options)
    assert ran.exit_code == 0, ran.output
    found: dict[str, Any] = json.loads(ran.output)
    return found


def test_the_constants_that_come_with_sluice_have_every_process() -> None:
    found = read_constants()
    assert set(found.processes) == {"gateway", *SEPARATE, "redis", "postgres"}
    assert {"cores", "cpu", "load_before"} <= set(found.machine)
    assert found.redis.ended > 0
    assert found.processes["gateway"].gib_seconds > 0


def test_the_text_names_the_budget_each_process_and_the_machine_of_the_constants() -> None:
    ran = run()
    assert ran.exit_code == 0, ran.output
    for text in ("600 uploads per hour of 100.0 MiB (video)", "10 of 10.0 MiB", "20.0 s to send", "budget", "gateway"):
        assert text in ran.output
    for name in SEPARATE:
        assert f"  {name} " in ran.output
    assert read_constants().measured_at[:10] in ran.output


def test_json_has_the_load_and_what_it_needs() -> None:
    found = planned()
    assert found["load"] == {
        "uploads_per_hour": 600,
        "size_bytes": 100 * 1024**2,
        "client_bytes_per_second": 5 * 1024**2,
        "media": "video",
        "segment_bytes": 10 * 1024**2,
        "segment_count": 10,
    }
    assert found["in_flight"]["send_seconds"] == 20
    assert found["temp_volume"]["budget_bytes"] >= found["temp_volume"]["mean_bytes"] > 0
    assert found["processes"]["gateway"]["processes"] == 1
    assert found["redis"]["records"] == 600 * 24


@pytest.mark.parametrize(
    ("size", "expected"),
    [("200KB", 200_000), ("1.5 GiB", 1.5 * 1024**3), ("73400320", 73400320), ("3mib", 3 * 1024**2), ("4T", 4e12)],
)
def test_sizes_have_decimal_and_binary_units(size: str, expected: float) -> None:
    assert planned(uploads="0.01", size=size, rate="1GB/s")["load"]["size_bytes"] == expected


@pytest.mark.parametrize(
    ("rate", "expected"), [("20Mbit/s", 2_500_000), ("5MiB/s", 5 * 1024**2), ("1000000", 1e6), ("2MB", 2e6)]
)
def test_rates_are_bytes_or_bits_per_second(rate: str, expected: float) -> None:
    assert planned(rate=rate)["load"]["client_bytes_per_second"] == expected


def test_settings_change_the_plan() -> None:
    found = planned(SLUICE_SEGMENT_BYTES=str(5 * 1024**2), SLUICE_RETENTION_SECONDS="3600")
    assert found["load"]["segment_count"] == 20
    assert found["redis"]["records"] == 600


@pytest.mark.parametrize("uploads", ["0", "-1", "nan", "inf", "2e9", "many"])
def test_a_senseless_number_of_uploads_is_refused(uploads: str) -> None:
    ran = run(uploads=uploads)
    assert ran.exit_code == 2
    assert "--uploads-per-hour" in ran.output


@pytest.mark.parametrize("size", ["0", "-5MB", "MB", "1e9", "5MB/s", "8Mbit", "5 parsecs", "1.2.3GB", ""])
def test_a_senseless_size_is_refused(size: str) -> None:
    ran = run(size=size)
    assert ran.exit_code == 2
    assert "--size" in ran.output


@pytest.mark.parametrize("rate", ["0MB/s", "1bit/s", "fast", "5MB/h"])
def test_a_senseless_rate_is_refused(rate: str) -> None:
    ran = run(rate=rate)
    assert ran.exit_code == 2
    assert "--client-rate" in ran.output


@pytest.mark.parametrize(
    ("code", "options"),
    [
        ("FILE_TOO_LARGE_FOR_STORE", {"size": "6TiB", "rate": "1GiB/s"}),
        ("UPLOAD_DEADLINE", {"size": "100GiB", "rate": "1MiB/s"}),
        ("SEGMENT_STALLED", {"size": "100MiB", "rate": "40KiB/s"}),
        ("REDIS_SATURATED", {"uploads": "1e9", "size": "1MiB"}),
    ],
)
def test_a_load_that_nothing_can_serve_is_an_error_with_a_code(code: str, options: dict[str, str]) -> None:
    text = run(**options)
    assert text.exit_code == 1
    assert f"[{code}]" in text.output
    found = run("--json", **options)
    assert found.exit_code == 1
    assert json.loads(found.output)["error"]["code"] == code


def test_constants_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "constants.json"
    values = json.loads(MEASURED.read_text()) | {"measured_at": "2031-01-01T00:00:00Z"}
    path.write_text(json.dumps(values))
    assert "2031-01-01" in run("--constants", str(path)).output


@pytest.mark.parametrize("text", ["", "{}", '{"measured_at": 3}', None])
def test_a_file_without_constants_is_an_error_with_a_code(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "constants.json"
    if text is not None:
        path.write_text(text)
    ran = run("--constants", str(path))
    assert ran.exit_code == 1
    assert "[CONSTANTS_INVALID]" in ran.output
    assert "constants.json" in ran.output
