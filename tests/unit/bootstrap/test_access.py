"""What a gateway must know about its callers before it starts."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.bootstrap.access import AccessSettingsError, check_access, is_loopback
from pipeline.settings import Settings

pytestmark = pytest.mark.unit

SECRET = "s" * 32


@pytest.mark.parametrize(
    "settings",
    [
        {"auth": "none", "host": "127.0.0.1"},
        {"auth": "none", "host": "::1"},
        {"auth": "none", "host": "localhost"},
        {"signing_secret": SECRET, "host": "0.0.0.0"},  # noqa: S104  # judged, not bound
        {"signing_secret": f"{SECRET},{'t' * 32}"},
        {"signing_secret": SECRET, "jwt_issuer": "https://id", "jwt_audience": "sluice", "jwt_secret": "x" * 32},
        {"signing_secret": SECRET, "jwt_issuer": "i", "jwt_audience": "a", "jwt_jwks_url": "https://id/keys"},
    ],
)
def test_settings_with_which_a_gateway_starts(settings: dict[str, Any]) -> None:
    check_access(Settings.model_validate({"auth": "required", **settings}))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"auth": "none", "host": "0.0.0.0"}, "loopback"),  # noqa: S104  # judged, not bound
        ({"auth": "none", "host": "::"}, "loopback"),
        ({"auth": "none", "host": "192.0.2.1"}, "loopback"),
        ({"auth": "none", "host": "upload.example"}, "loopback"),
        ({}, "SLUICE_SIGNING_SECRET is not set"),
        ({"signing_secret": SECRET, "jwt_secret": "x" * 32}, "SLUICE_JWT_ISSUER"),
        ({"signing_secret": SECRET, "jwt_issuer": "i", "jwt_jwks_url": "https://id/keys"}, "SLUICE_JWT_AUDIENCE"),
        ({"signing_secret": SECRET, "jwt_issuer": "i", "jwt_audience": "a"}, "needs one of"),
    ],
)
def test_settings_with_which_no_gateway_starts(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(AccessSettingsError, match=said):
        check_access(Settings.model_validate({"auth": "required", **settings}))


@pytest.mark.parametrize("secret", ["short", f"{SECRET},short"])
def test_a_secret_that_is_too_short_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="signing_secret"):
        Settings.model_validate({"signing_secret": secret})


@pytest.mark.parametrize(("host", "is_so"), [("127.8.8.8", True), ("::1", True), ("10.0.0.1", False), ("a.b", False)])
def test_what_can_be_reached_from_this_machine_only(host: str, is_so: bool) -> None:
    assert is_loopback(host) is is_so
