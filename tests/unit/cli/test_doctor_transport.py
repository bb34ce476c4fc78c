"""What `sluice doctor` says about the way to Redis and PostgreSQL."""

from __future__ import annotations

import pytest

from deploy.cli.doctor.findings import Findings, Level
from deploy.cli.doctor.transport import judge_database_transport, judge_redis_transport

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("url", "levels"),
    [
        ("redis://127.0.0.1:6379/0", []),
        ("redis://:pass@[::1]/0", []),
        ("redis://localhost/0", []),
        ("unix:///run/redis.sock", []),
        ("redis://:pass@10.0.0.5:6379/0", [Level.WARNING]),
        ("redis://u:pass@redis.example/0", [Level.WARNING]),
        ("rediss://u:pass@redis.example/0", [Level.OK]),
        ("rediss://u:pass@redis.example/0?ssl_cert_reqs=none", [Level.WARNING]),
        ("redis+sentinel://u:pass@127.0.0.1:26379,[::1]:26379/main/0", []),
        ("redis+sentinel://u:pass@127.0.0.1:26379,b.example/main/0", [Level.WARNING]),
        ("rediss+sentinel://u:pass@a.example,b.example/main/0", [Level.OK]),
    ],
)
def test_redis(url: str, levels: list[Level]) -> None:
    findings = Findings("Redis")
    judge_redis_transport(url, findings)
    assert [finding.level for finding in findings.all] == levels
    assert "pass@" not in str(findings.all)


@pytest.mark.parametrize(
    ("url", "levels"),
    [
        ("postgresql://u:pass@127.0.0.1:5432/d", []),
        ("postgresql://u:pass@[::1]:5432/d", []),
        ("postgresql:///d?host=/run/postgresql", []),
        ("postgresql://%2Frun%2Fpostgresql/d", []),
        ("postgresql://u:pass@db.example/d", [Level.WARNING]),
        ("postgresql://u:pass@db.example:6432/d?sslmode=require", [Level.WARNING]),
        ("postgresql://u:pass@db.example/d?sslmode=verify-ca", [Level.OK]),
        ("postgresql://u:pass@db.example/d?sslmode=verify-full&sslrootcert=/ca.pem", [Level.OK]),
        ("postgresql://u:pass@localhost:1,db.example:2/d", [Level.WARNING]),
        ("postgresql://u:pass@[2001:db8::1]/d", [Level.WARNING]),
        ("postgresql:///d?host=db.example", [Level.WARNING]),
    ],
)
def test_postgresql(url: str, levels: list[Level], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGSSLMODE", raising=False)
    monkeypatch.delenv("PGHOST", raising=False)
    findings = Findings("PostgreSQL")
    judge_database_transport(url, findings)
    assert [finding.level for finding in findings.all] == levels
    assert "pass@" not in str(findings.all)


def test_the_mode_of_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    findings = Findings("PostgreSQL")
    judge_database_transport("postgresql://db.example/d", findings)
    assert [finding.level for finding in findings.all] == [Level.OK]
