"""The embedded stack with Keystone: which tokens and credentials Swift accepts and refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pytest

from deploy.embedded import EmbeddedStack, StackOptions
from tests.integration.embedded_requests import put_and_get, request, signed_list_buckets, wait_until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("no_servers_of_the_callers_own"),
]


@pytest.fixture(scope="module")
def keystone_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    options = StackOptions(
        directory=tmp_path_factory.mktemp("keystone"),
        postgres=False,
        redis=False,
        keystone=True,
        token_cache_seconds=-1,
        fast=True,
    )
    with EmbeddedStack(options) as running:
        yield running


def keystone_token(keystone_url: str, identity: Mapping[str, object], scope: Mapping[str, object] | None) -> str:
    body: dict[str, object] = {"identity": identity}
    if scope is not None:
        body["scope"] = scope
    headers = {"Content-Type": "application/json"}
    status, response_headers, text = request(
        "POST", f"{keystone_url}/auth/tokens", headers, json.dumps({"auth": body}).encode()
    )
    assert status == 201, text
    return response_headers["x-subject-token"]


def media_token(stack: EmbeddedStack) -> str:
    keystone = stack.keystone
    assert keystone is not None
    user = {"name": keystone.username, "domain": {"name": keystone.user_domain}, "password": keystone.password}
    scope = {"project": {"name": keystone.project, "domain": {"name": keystone.project_domain}}}
    return keystone_token(keystone.auth_url, {"methods": ["password"], "password": {"user": user}}, scope)


def test_the_keystone_proxy_accepts_a_keystone_token(keystone_stack: EmbeddedStack) -> None:
    keystone = keystone_stack.keystone
    assert keystone is not None
    requests_before = keystone.count_token_requests()
    put_and_get(keystone.storage_url, media_token(keystone_stack))
    wait_until(lambda: keystone.count_token_requests() == requests_before + 1, "one more token in the access log")


def test_an_application_credential_yields_a_token(keystone_stack: EmbeddedStack) -> None:
    keystone = keystone_stack.keystone
    assert keystone is not None
    credential = {"id": keystone.application_credential_id, "secret": keystone.application_credential_secret}
    identity = {"methods": ["application_credential"], "application_credential": credential}
    put_and_get(keystone.storage_url, keystone_token(keystone.auth_url, identity, None))


def test_a_revoked_token_is_refused_when_tokens_are_not_cached(keystone_stack: EmbeddedStack) -> None:
    keystone = keystone_stack.keystone
    assert keystone is not None
    token = media_token(keystone_stack)
    put_and_get(keystone.storage_url, token)
    both = {"X-Auth-Token": token, "X-Subject-Token": token}
    assert request("DELETE", f"{keystone.auth_url}/auth/tokens", both)[0] == 204
    assert request("GET", f"{keystone.storage_url}/trial/object", {"X-Auth-Token": token})[0] == 401


def test_the_s3_api_accepts_the_ec2_credential(keystone_stack: EmbeddedStack) -> None:
    keystone = keystone_stack.keystone
    assert keystone is not None
    assert signed_list_buckets(keystone.proxy_url, keystone.ec2_access_key, keystone.ec2_secret_key) == 200


def test_the_environment_names_keystone(keystone_stack: EmbeddedStack) -> None:
    environment = keystone_stack.environment()
    assert environment["SLUICE_SWIFT_AUTH"] == "v3"
    assert environment["SLUICE_SWIFT_AUTH_URL"].endswith("/v3")
    assert environment["SLUICE_SWIFT_REGION"] == "RegionOne"
