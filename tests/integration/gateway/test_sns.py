"""Notifications by SNS at a gateway: the secret, the signature and the topic, and no request to where they say."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.options import GatewayOptions
from pipeline.settings import Settings
from tests.harness.sns import TOPIC, Sns, sns_server
from tests.integration.gateway.conftest import OPTIONS, Gateway

pytestmark = pytest.mark.integration

TOKEN = "t" * 32


@pytest.fixture
async def sns(tmp_path: Path) -> AsyncIterator[Sns]:
    async with sns_server(tmp_path / "sns") as server:
        yield server


@pytest.fixture
def settings(sns: Sns, settings: Settings) -> Settings:
    """With the filesystem store, whose objects a test can place."""
    changes = {
        "sns_topics": (TOPIC,),
        "sns_hosts": (sns.host,),
        "store_ca_file": sns.ca.ca_file,
        "store": "filesystem",
        "filesystem_dir": sns.directory / "store",
        "temp_dir": sns.directory / "temp",
    }
    return settings.model_copy(update=changes)


@pytest.fixture
def options() -> GatewayOptions:
    return replace(OPTIONS, events_token=SecretStr(TOKEN))


async def send(gateway: Gateway, message: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "text/plain; charset=UTF-8"}
    response = await gateway.client.request(
        "POST", "/v1/events/storage", data=json.dumps(message).encode(), headers=headers
    )
    body = json.loads(response.body)
    return response.status, body["data"] if response.status == 200 else body["error"]


@pytest.mark.parametrize("version", ["1", "2"])
async def test_a_signed_notification_starts_an_import(gateway: Gateway, sns: Sns, version: str) -> None:
    store = gateway.services.importer._stores.named("filesystem")
    await store.put_object("raw/film.mp4", b"bytes", "video/mp4")
    record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "files"}, "object": {"key": "raw/film.mp4"}}}
    message = sns.message(version=version, Message=json.dumps({"Records": [record]}))
    status, report = await send(gateway, message)
    assert status == 200, report
    assert [item["key"] for item in report["imports"]] == ["raw/film.mp4"]
    assert str(sns.directory) not in str(report)
    # What somebody has recorded and changed is refused, and starts nothing.
    other = json.dumps({"Records": [{**record, "s3": {**record["s3"], "object": {"key": "raw/other.mp4"}}}]})  # type: ignore[dict-item]  # JSON
    status, error = await send(gateway, {**message, "Message": other})
    assert (status, error["code"]) == (403, "EVENTS_SIGNATURE_WRONG")


async def test_a_subscription_is_confirmed_by_an_operator_only(gateway: Gateway, sns: Sns) -> None:
    asked = sns.message(kind="SubscriptionConfirmation")
    status, report = await send(gateway, asked)
    assert (status, report["confirm_url"], report["imports"]) == (200, asked["SubscribeURL"], [])
    elsewhere = sns.message(kind="SubscriptionConfirmation", SubscribeURL="https://evil.example/?a=b")
    assert (await send(gateway, elsewhere))[1]["confirm_url"] is None
    assert (await send(gateway, sns.message(kind="UnsubscribeConfirmation")))[1]["confirm_url"] is None
    status, error = await send(gateway, {**asked, "SubscribeURL": "https://evil.example/"})
    assert (status, error["code"]) == (403, "EVENTS_SIGNATURE_WRONG")
    assert sns.requested == ["/sns.pem"]


async def test_what_cannot_be_verified_now_is_sent_again(gateway: Gateway, sns: Sns) -> None:
    status, error = await send(gateway, sns.message(SigningCertURL=f"https://{sns.host}/gone.pem"))
    assert (status, error["code"]) == (503, "EVENTS_NOT_VERIFIED")
    status, error = await send(gateway, sns.message(TopicArn=TOPIC + "x"))
    assert (status, error["code"]) == (403, "EVENTS_TOPIC_NOT_ALLOWED")
    status, error = await send(gateway, sns.message(Message="hello"))
    assert (status, error["code"]) == (422, "VALIDATION_FAILED")
