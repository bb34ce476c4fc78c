"""How `sluice doctor` judges what docs/internet.md asks for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.doctor.check_access import (
    judge_address,
    judge_keys,
    judge_modes,
    judge_secrets,
    judge_urls,
)
from deploy.cli.doctor.findings import Findings, Level
from pipeline.core.access import Scope
from pipeline.ports.access import ApiKey
from pipeline.settings import Settings

pytestmark = pytest.mark.unit

GOOD_SECRET = "9f2c6c1fd0e84b7c8f7d2f0c5b1e6a3d4c7b8a9f0e1d2c3b4a5968778695a4b3"


def settings(**more: Any) -> Settings:
    return Settings.model_validate({"auth": "required", "signing_secret": GOOD_SECRET, **more})


def warnings(findings: Findings) -> list[tuple[Level, str]]:
    found = [(finding.level, f"{finding.what} {finding.advice}") for finding in findings.all]
    assert found
    return [(level, text) for level, text in found if level is not Level.OK]


@pytest.mark.parametrize("secret", ["a" * 40, "0123456789abcdef" * 4, "changeme" * 5, "01" * 40])
def test_a_secret_that_can_be_guessed_is_an_error(secret: str) -> None:
    judge_secrets(settings(signing_secret=secret), findings := Findings("access"))
    ((level, text),) = warnings(findings)
    assert (level, "SLUICE_SIGNING_SECRET" in text) == (Level.ERROR, True)
    assert secret not in text


def test_a_random_secret_and_a_rotation_are_no_problem() -> None:
    judge_secrets(settings(signing_secret=f"{GOOD_SECRET},{GOOD_SECRET[::-1]}"), findings := Findings("access"))
    assert warnings(findings) == []
    assert any("2 signing secrets" in finding.what for finding in findings.all)


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({}, ""),
        ({"host": "0.0.0.0"}, "TLS"),  # noqa: S104  # judged, not bound
        ({"host": "10.0.0.5", "trusted_proxies": "10.0.0.2"}, ""),
        ({"host": "10.0.0.5", "trusted_proxies": "10.0.0.2", "trust_forwarded": True}, ""),
        ({"host": "10.0.0.5", "trust_forwarded": True}, "X-Forwarded-Host"),
        ({"public_url": "http://upload.example"}, "SLUICE_PUBLIC_URL"),
        ({"public_url": "https://upload.example"}, ""),
        ({"public_url": "http://127.0.0.1:8000"}, ""),
    ],
)
def test_where_the_gateway_listens(more: dict[str, Any], problem: str) -> None:
    judge_address(settings(**more), findings := Findings("access"))
    texts = [text for _, text in warnings(findings)]
    assert bool(texts) == bool(problem)
    assert any(problem in text for text in texts) or not problem


def key(name: str, *scopes: Scope, expires_in: float | None = None, revoked: bool = False) -> ApiKey:
    now = datetime.now(UTC)
    until = None if expires_in is None else now + timedelta(seconds=expires_in)
    return ApiKey(name, "alice", frozenset(scopes), "", b"", now, now, until, now if revoked else None)


def test_keys() -> None:
    for keys in ([], [key("a", Scope.UPLOAD, expires_in=-1)], [key("a", Scope.UPLOAD, revoked=True)]):
        judge_keys(keys, settings(), findings := Findings("access"))
        assert "every request is refused" in warnings(findings)[0][1]
    judge_keys([key("a", Scope.UPLOAD), key("b", Scope.OPERATE, expires_in=60)], settings(), findings := Findings("x"))
    assert warnings(findings) == []
    judge_keys([key("forever", Scope.OPERATE)], settings(), findings := Findings("access"))
    assert "forever" in warnings(findings)[0][1]


def test_urls() -> None:
    judge_urls(
        {"A": "https://s3.example", "B": "http://127.0.0.1:9", "C": "http://localhost"}, findings := Findings("a")
    )
    assert warnings(findings) == []
    judge_urls({"SLUICE_S3_ENDPOINT_URL": "http://10.0.0.9:9000"}, findings := Findings("access"))
    assert "SLUICE_S3_ENDPOINT_URL" in warnings(findings)[0][1]


def test_modes(tmp_path: Path) -> None:
    closed, opened = tmp_path / "closed", tmp_path / "opened"
    closed.mkdir(mode=0o700)
    opened.mkdir()
    opened.chmod(0o755)
    judge_modes([closed, tmp_path / "missing"], findings := Findings("access"))
    assert warnings(findings) == []
    judge_modes([opened], findings := Findings("access"))
    assert f"chmod 700 {opened}" in warnings(findings)[0][1]
