"""Settings that could never work are refused when they are read; those with one obvious meaning work."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner
from pydantic import SecretStr, ValidationError

from deploy.cli.root import sluice
from pipeline.settings import Settings

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ('["https://a.example"]', ("https://a.example",)),
        ("https://a.example", ("https://a.example",)),
        ("https://a.example,https://b.example", ("https://a.example", "https://b.example")),
        ("https://a.example, https://b.example\n", ("https://a.example", "https://b.example")),
        ("[]", ()),
        ("*", ("*",)),
        ('["*"]', ("*",)),
        ('["https://a/"]', ("https://a",)),
        ('["https://A.Example"]', ("https://a.example",)),
        ('["HTTPS://a.example"]', ("https://a.example",)),
        ('["https://a:443"]', ("https://a",)),
        ('["http://a:80/"]', ("http://a",)),
        ('["http://a:443"]', ("http://a:443",)),
        ('["https://a:8443"]', ("https://a:8443",)),
        ('["https://bücher.example"]', ("https://xn--bcher-kva.example",)),
        ('["https://xn--bcher-kva.example"]', ("https://xn--bcher-kva.example",)),
        ('["https://faß.example"]', ("https://xn--fa-hia.example",)),
        ('["http://127.0.0.1:3000"]', ("http://127.0.0.1:3000",)),
        ('["http://[::1]:3000"]', ("http://[::1]:3000",)),
        ('["http://[0:0:0:0:0:0:0:1]"]', ("http://[::1]",)),
        ('["https://*.a.example"]', ("https://*.a.example",)),
        ('["https://*.A.example:443/"]', ("https://*.a.example",)),
        ('["http://*.localhost:3000"]', ("http://*.localhost:3000",)),
        ('["capacitor://localhost", "chrome-extension://abc"]', ("capacitor://localhost", "chrome-extension://abc")),
    ],
)
def test_origins(monkeypatch: pytest.MonkeyPatch, text: str, origins: tuple[str, ...]) -> None:
    monkeypatch.setenv("SLUICE_CORS_ORIGINS", text)
    assert Settings().cors_origins == origins


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(
            ("cors_origins", text)
            for text in (
                '[""]',
                '[" "]',
                '["null"]',
                "null",
                "a.example",
                "//a.example",
                "https://",
                "https:///",
                "https://a/path",
                "https://a//",
                "https://a?query",
                "https://a#fragment",
                "https://user@a",
                "https://a:",
                "https://a:0",
                "https://a:65536",
                "https://a:port",
                "https://a..example",
                "https://-a.example",
                "https://1.2.3",
                "https://[::1",
                "https://*",
                "https://**.a",
                "https://*a.example",
                "https://a.*.example",
                "https://a.*",
                "*.a.example",
                "*://a.example",
                r"https://.*\.a\.example",
                "/a/",
                "file://",
                "[https://a]",
                '["https://a"',
                "{}",
                "[1]",
                '[["https://a"]]',
            )
        ),
        ("cors_headers", "X Y:"),
        ("cors_headers", '["X Y"]'),
        ("cors_headers", "X-Ä"),
        ("cors_credentials", "perhaps"),
        *(
            ("public_url", text)
            for text in (
                "a.example",
                "ftp://a",
                "https://",
                "https://a?x",
                "https://a#x",
                "https://u:p@a",
                "https://a b",
            )
        ),
        ("s3_endpoint_url", "minio:9000"),
        ("s3_public_url", "s3.example"),
        ("swift_public_url", "https://a?x"),
        ("swift_auth_url", "keystone:5000/v3"),
        *(
            ("cdn_purge_url", text)
            for text in (
                "http://cache/",
                "http://cache",
                "cache/{key}",
                "ftp://cache/{key}",
                "http://{key}/",
                "http://cache{key}/x",
                "http://cache/{key}/{other}",
                "http://cache/{key",
                "http://cache/#{key}",
                "http://cache/{KEY}",
            )
        ),
        ("cdn_purge_method", "GET"),
        *(("host", text) for text in ("http://0.0.0.0", "0.0.0.0:80", "*", "a b", "1.2.3", "256.1.1.1", "a/b", "[a]b")),
        *(
            ("redis_url", text)
            for text in ("localhost:6379", "http://a", "redis://", "redis://a:port/0", "redis://a:0", "redis://a/name")
        ),
        *(
            ("redis_url", f"redis+sentinel://{text}")
            for text in (
                "a:26379,b:26379",
                "a:26379/",
                "a:port/main",
                "a,/main",
                "a/main/name",
                "a:0/main",
                "u@b@/main",
            )
        ),
        *(("database_url", text) for text in ("localhost:5432/x", "mysql://a/b", "a", "host=a dbname=b")),
        ("port", "65536"),
        ("port", "http"),
        *(
            ("cells", text)
            for text in (
                "https://a.example",
                "0=a.example",
                "0=https://a?x",
                "0=",
                "a=https://a",
                "256=https://a",
                "-1=https://a",
                "0=https://a,0=https://b",
                "0=https://a,00=https://b",
                "0=https://a,1=https://a/",
                "1=https://b",
                '["a"]',
                '{"1": "https://b"}',
                '{"0": "https://a"',
                '"0=https://a"',
            )
        ),
        *(("cell", text) for text in ("256", "-1", "a")),
        ("import_buckets", "[raw]"),
        ("download_concurrency", "0"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(f"SLUICE_{name.upper()}", text)
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert {error["loc"][0] for error in refused.value.errors()} == {name}
    result = CliRunner().invoke(sluice, ["gateway"])
    assert result.exit_code == 1
    assert re.match(rf"Error: Invalid setting SLUICE_{name.upper()}( item \d+)?: ", result.output)
    assert result.output.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("cors_headers", "X-Api-Key, X-Other", ("X-Api-Key", "X-Other")),
        ("cors_headers", "*", ("*",)),
        ("public_url", "https://a.example/", "https://a.example"),
        ("public_url", "https://a.example/x/", "https://a.example/x"),
        ("public_url", "http://[::1]:80", "http://[::1]:80"),
        ("cdn_purge_url", "http://cache/{key}", SecretStr("http://cache/{key}")),
        ("cdn_purge_url", "http://cache?object={key}", SecretStr("http://cache?object={key}")),
        ("cdn_purge_url", "http://user:word@cache/x/{key}", SecretStr("http://user:word@cache/x/{key}")),
        ("cdn_purge_method", "purge", "PURGE"),
        ("host", "0.0.0.0", "0.0.0.0"),  # noqa: S104  # not bound
        ("host", "::", "::"),
        ("host", "[::1]", "::1"),
        ("host", "gateway-1.example", "gateway-1.example"),
        ("redis_url", "rediss://:word@a:6380/3?x=y", SecretStr("rediss://:word@a:6380/3?x=y")),
        ("redis_url", "redis://[::1]", SecretStr("redis://[::1]")),
        ("redis_url", "unix:///run/redis.sock", SecretStr("unix:///run/redis.sock")),
        *(
            ("redis_url", text, SecretStr(text))
            for text in (
                "redis+sentinel://a,b:26379,[::1]:5000/main",
                "rediss+sentinel://u:p%40w@a.example:26379/main.1/3?sentinel_password=x",
            )
        ),
        ("database_url", "postgres://a:1,b:2/x", SecretStr("postgres://a:1,b:2/x")),
        ("database_url", "postgresql:///x?host=/run", SecretStr("postgresql:///x?host=/run")),
        ("cells", "0=https://a.example/", ((0, "https://a.example"),)),
        ("cells", "7=https://a/7, 0=https://a/0/", ((0, "https://a/0"), (7, "https://a/7"))),
        ("cells", '{"0": "https://a", "12": "https://b"}', ((0, "https://a"), (12, "https://b"))),
        ("import_buckets", '["raw", "a,b"]', ("raw", "a,b")),
        ("import_buckets", "raw,more", ("raw", "more")),
    ],
)
def test_a_setting_with_one_meaning_works(monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object) -> None:
    monkeypatch.setenv(f"SLUICE_{name.upper()}", text)
    assert getattr(Settings(), name) == value


def test_every_page_may_not_send_cookies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_CORS_CREDENTIALS", "true")
    assert Settings().cors_credentials
    monkeypatch.setenv("SLUICE_CORS_ORIGINS", "https://a.example, *")
    with pytest.raises(ValidationError, match="SLUICE_CORS_ORIGINS"):
        Settings()


def test_several_settings_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_HOST", "*")
    monkeypatch.setenv("SLUICE_PORT", "http")
    lines = CliRunner().invoke(sluice, ["gateway"]).output.splitlines()
    assert lines[0] == "Error: Invalid settings:"
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["SLUICE_HOST", "SLUICE_PORT"]
