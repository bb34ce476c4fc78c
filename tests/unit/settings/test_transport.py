"""Settings of TLS and passwords: what could never work is refused, and no secret is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from pipeline.adapters.redis.address import client_url
from pipeline.settings import Settings
from tests.harness.certificates import TestCa

pytestmark = pytest.mark.unit

PASSWORD = "hunter2"
BAD_DATABASE_URLS = [
    f"postgresql://u:{PASSWORD}/x@host/db",
    f"postgresql://u:{PASSWORD}#x@host/db",
    f"postgresql://u:{PASSWORD}?x@host/db",
    f"postgresql://u:12/{PASSWORD}@host/db",
    f"postgresql://u:{PASSWORD}@x@host/db",
    f"postgresql://u:{PASSWORD} x@host/db",
    f"mysql://u:{PASSWORD}@host/db",
    f"postgresql://u:{PASSWORD}@host:port/db",
    f"postgresql://u:{PASSWORD}@host/db?sslmode=verify",
]
GOOD_DATABASE_URLS = [
    f"postgresql://u:{PASSWORD}@host/db",
    f"postgres://u:{PASSWORD}%2Fx%40y@host:5432/db?sslmode=verify-full&sslrootcert=/etc/ca.pem",
    f"postgresql://u:{PASSWORD}@a:1,b:2/db?target_session_attrs=read-write",
    f"postgresql://u:{PASSWORD}@[::1]:5432/db",
    "postgresql:///db?host=/run/postgresql",
    "postgresql://%2Frun%2Fpostgresql/db",
    "postgresql://host",
]


@pytest.mark.parametrize("url", BAD_DATABASE_URLS)
def test_a_database_url_that_would_be_misread_is_refused_without_repeating_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_DATABASE_URL", url)
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert PASSWORD not in str(refused.value)


def test_other_secrets_are_not_repeated_either(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REDIS_URL", "SIGNING_SECRET", "JWT_SECRET"):
        monkeypatch.setenv(f"SLUICE_{name}", PASSWORD)
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert refused.value.error_count() == 3
    assert PASSWORD not in str(refused.value) + repr(refused.value)


@pytest.mark.parametrize("url", GOOD_DATABASE_URLS)
def test_urls_as_libpq_has_them(url: str) -> None:
    assert Settings(database_url=SecretStr(url)).database_url.get_secret_value() == url


def test_no_secret_is_in_a_text_of_the_settings(tmp_path: Path) -> None:
    ca_file = TestCa(tmp_path).ca_file
    secrets = {
        name: SecretStr(f"{PASSWORD}-{name}")
        for name, field in Settings.model_fields.items()
        if field.annotation is SecretStr and not name.endswith("_url") and name != "jwt_secret"
    }
    assert {"swift_password", "s3_secret_key", "events_token", "cdn_purge_token", "swift_tempurl_key"} <= set(secrets)
    settings = Settings(
        redis_url=SecretStr(f"rediss://u:{PASSWORD}@h/0"),
        database_url=SecretStr(f"postgresql://u:{PASSWORD}@h/d"),
        jwt_secret=SecretStr(PASSWORD * 8),
        signing_secret=(SecretStr(PASSWORD * 8),),
        redis_ca_file=ca_file,
        store_ca_file=ca_file,
        **secrets,  # type: ignore[arg-type]  # mypy takes them for every field
    )
    for text in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert PASSWORD not in text


@pytest.mark.parametrize("name", ["REDIS_CA_FILE", "STORE_CA_FILE"])
def test_a_ca_file_that_is_none_is_refused(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty.pem").touch()
    (tmp_path / "text.pem").write_text("no certificate")
    for path in (tmp_path / "missing.pem", tmp_path / "empty.pem", tmp_path / "text.pem", tmp_path):
        monkeypatch.setenv(f"SLUICE_{name}", str(path))
        with pytest.raises(ValidationError, match="readable file of CA certificates"):
            Settings()


def test_redis_verifies_host_names_unless_the_url_says_otherwise() -> None:
    ca = Path("/etc/a b%.pem")
    assert client_url("redis://h/0", ca_file=ca) == "redis://h/0"
    assert client_url("unix:///run/r.sock", ca_file=ca) == "unix:///run/r.sock"
    assert client_url("rediss://u:p@h/0") == "rediss://u:p@h/0?ssl_check_hostname=true"
    assert client_url("rediss://h/0?ssl_cert_reqs=none").endswith("&ssl_check_hostname=false")
    assert client_url("rediss://h/0?ssl_check_hostname=false") == "rediss://h/0?ssl_check_hostname=false"
    full = client_url("rediss://h/0", ca_file=ca, certificate_file=Path("/c"), key_file=Path("/k"))
    assert full.count("ssl_") == 4
