"""The commands that reach the servers of a run."""

from __future__ import annotations

import pytest

from deploy.cli.store_access import Access

pytestmark = pytest.mark.unit

EMBEDDED = {
    "SLUICE_REDIS_URL": "redis://127.0.0.1:1/0",
    "SLUICE_DATABASE_URL": "postgresql://sluice@127.0.0.1:2/sluice",
    "SLUICE_STORE": "swift",
    "SLUICE_SWIFT_AUTH": "v1",
    "SLUICE_SWIFT_AUTH_URL": "http://127.0.0.1:3/auth/v1.0",
    "SLUICE_SWIFT_USER": "media:media",
    "SLUICE_SWIFT_PASSWORD": "mediapass",
    "SLUICE_SWIFT_CONTAINER": "sluice",
}
KEYSTONE = {
    **EMBEDDED,
    "SLUICE_SWIFT_AUTH": "v3",
    "SLUICE_SWIFT_AUTH_URL": "http://127.0.0.1:3/v3",
    "SLUICE_SWIFT_PROJECT": "media",
}


def test_how_to_reach_embedded_servers() -> None:
    lines = dict(Access(EMBEDDED).lines())
    assert lines["Redis"] == 'redis-cli -u "$SLUICE_REDIS_URL"'
    assert lines["PostgreSQL"] == 'psql "$SLUICE_DATABASE_URL"'
    assert lines["store"] == "Swift, login at http://127.0.0.1:3/auth/v1.0, container sluice"
    assert lines["list objects"].endswith('--user media:media --key "$SLUICE_SWIFT_PASSWORD" list sluice')
    assert "delegated user" not in lines


@pytest.mark.parametrize(
    ("environment", "secrets"),
    [
        (EMBEDDED, ["SLUICE_REDIS_URL", "SLUICE_DATABASE_URL", "SLUICE_SWIFT_PASSWORD"]),
        (KEYSTONE, ["SLUICE_SWIFT_PASSWORD"]),
        (
            {**KEYSTONE, "SLUICE_SWIFT_APPLICATION_CREDENTIAL_ID": "an-id"},
            ["SLUICE_SWIFT_APPLICATION_CREDENTIAL_SECRET"],
        ),
        (
            {**KEYSTONE, "SLUICE_SWIFT_LENT_USER": "another"},
            ["SLUICE_SWIFT_LENT_PASSWORD"],
        ),
        (
            {**EMBEDDED, "SLUICE_STORE": "s3", "SLUICE_S3_BUCKET": "b", "SLUICE_S3_ACCESS_KEY": "key"},
            ["SLUICE_S3_SECRET_KEY"],
        ),
    ],
)
def test_secrets_are_not_printed(environment: dict[str, str], secrets: list[str]) -> None:
    own = {name: f"secret-{name}" for name in secrets}
    access = Access({**environment, **own})
    text = "\n".join(f"{name} {line}" for name, line in access.lines())
    for name in secrets:
        assert f'"${name}"' in text
        assert f"secret-{name}" not in text + access.swift_command("list")


def test_keystone_and_its_delegated_user() -> None:
    environment = {**KEYSTONE, "SLUICE_SWIFT_LENT_USER": "client", "SLUICE_SWIFT_LENT_PASSWORD": "pass"}
    lines = dict(Access(environment).lines())
    login = '--os-username media:media --os-password "$SLUICE_SWIFT_PASSWORD" --os-project-name media'
    assert login in lines["list objects"]
    assert lines["delegated user"].startswith('client, password "$SLUICE_SWIFT_LENT_PASSWORD"')


def test_a_directory_and_amazon() -> None:
    lines = dict(Access({**EMBEDDED, "SLUICE_STORE": "filesystem", "SLUICE_FILESYSTEM_DIR": "/a b"}).lines())
    assert (lines["store"], lines["list objects"]) == ("the directory /a b", "find '/a b' -type f")
    lines = dict(Access({**EMBEDDED, "SLUICE_STORE": "s3", "SLUICE_S3_BUCKET": "b"}).lines())
    assert lines["store"] == "S3 at Amazon, bucket b"
    assert lines["list objects"] == "aws --region us-east-1 s3 ls --recursive s3://b"
