"""Messages of SNS: signed by a key whose certificate is read by HTTPS from a host that is trusted."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1

from pipeline.adapters.plain_http import HttpPlainClient
from pipeline.adapters.sns import SnsMessages, SnsRules
from pipeline.core.errors import DependencyUnavailable, RequestError
from schemas.storage_events import StorageEvents
from tests.harness.sns import TEXTS, TOPIC, Sns, sns_server

pytestmark = pytest.mark.contract


@pytest.fixture
async def sns(tmp_path: Path) -> AsyncIterator[Sns]:
    async with sns_server(tmp_path / "sns") as server:
        yield server


@pytest.fixture
async def messages(sns: Sns) -> AsyncIterator[SnsMessages]:
    async with HttpPlainClient(sns.ca.ca_file) as client:
        made = SnsMessages(client, SnsRules(frozenset({TOPIC}), frozenset({sns.host})))
        yield made
        await made.aclose()


def parsed(message: dict[str, Any]) -> StorageEvents:
    return StorageEvents.model_validate_json(json.dumps(message))


async def refused(messages: SnsMessages, message: dict[str, Any]) -> str:
    with pytest.raises((RequestError, DependencyUnavailable)) as error:
        await messages.require_valid(parsed(message))
    return error.value.code


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("kind", ["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"])
async def test_what_sns_has_signed_is_accepted(sns: Sns, messages: SnsMessages, kind: str, version: str) -> None:
    for _ in range(3):
        await messages.require_valid(parsed(sns.message(kind=kind, version=version)))
    assert sns.requested == ["/sns.pem"]  # once


async def test_a_message_without_a_subject(sns: Sns, messages: SnsMessages) -> None:
    message = sns.message()
    del message["Subject"]
    assert await refused(messages, message) == "EVENTS_SIGNATURE_WRONG"
    fresh = {name: value for name, value in message.items() if name != "Signature"}
    text = "".join(f"{name}\n{fresh[name]}\n" for name in TEXTS["Notification"] if name in fresh)
    fresh["Signature"] = base64.b64encode(sns.key("sns").sign(text.encode(), PKCS1v15(), SHA1())).decode()  # noqa: S303
    await messages.require_valid(parsed(fresh))


@pytest.mark.parametrize("name", ["Message", "MessageId", "Subject", "TopicArn", "Type", "Timestamp", "Signature"])
async def test_a_field_that_was_changed_afterwards(sns: Sns, messages: SnsMessages, name: str) -> None:
    changed = {
        "Type": "SubscriptionConfirmation",
        "TopicArn": TOPIC + "2",
        "Timestamp": (datetime.now(UTC) - timedelta(minutes=1)).isoformat(),
        "Signature": base64.b64encode(bytes(256)).decode(),
    }.get(name, "changed")
    expected = "EVENTS_TOPIC_NOT_ALLOWED" if name == "TopicArn" else "EVENTS_SIGNATURE_WRONG"
    assert await refused(messages, {**sns.message(), name: changed}) == expected


@pytest.mark.parametrize("value", [None, "", "no base64 ?", "AAAA"])
async def test_no_signature(sns: Sns, messages: SnsMessages, value: str | None) -> None:
    assert await refused(messages, {**sns.message(), "Signature": value}) == "EVENTS_SIGNATURE_WRONG"


@pytest.mark.parametrize("version", [None, "0", "3", ""])
async def test_an_unknown_version(sns: Sns, messages: SnsMessages, version: str | None) -> None:
    assert await refused(messages, {**sns.message(), "SignatureVersion": version}) == "EVENTS_SIGNATURE_WRONG"


async def test_another_key(sns: Sns, messages: SnsMessages) -> None:
    assert await refused(messages, sns.message(signed_by="other")) == "EVENTS_SIGNATURE_WRONG"


async def test_an_expired_certificate(sns: Sns, messages: SnsMessages) -> None:
    message = sns.message(signed_by="old", SigningCertURL=f"https://{sns.host}/old.pem")
    assert await refused(messages, message) == "EVENTS_SIGNATURE_WRONG"


@pytest.mark.parametrize("minutes", [-125, 15])
async def test_a_recorded_message_is_of_no_use_later(sns: Sns, messages: SnsMessages, minutes: int) -> None:
    moment = (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()
    assert await refused(messages, sns.message(Timestamp=moment)) == "EVENTS_SIGNATURE_WRONG"
    assert await refused(messages, sns.message(Timestamp="2026-01-01T00:00:00")) == "EVENTS_SIGNATURE_WRONG"
    assert await refused(messages, sns.message(Timestamp="")) == "EVENTS_SIGNATURE_WRONG"
    assert sns.requested == []


HOSTILE = [
    "http://sns.eu-central-1.amazonaws.com/a.pem",
    "https://sns.eu-central-1.amazonaws.com.evil.example/a.pem",
    "https://evil.example/sns.eu-central-1.amazonaws.com/a.pem",
    "https://sns.eu-central-1.amazonaws.com@evil.example/a.pem",
    "https://sns.eu-central-1.amazonaws.com:8443/a.pem",
    "https://evil.example#sns.eu-central-1.amazonaws.com/a.pem",
    "https://evil.example\\@sns.eu-central-1.amazonaws.com/a.pem",
    "https://s3.eu-central-1.amazonaws.com/bucket/a.pem",
    "https://sns.eu-central-1.amazonaws.com.pem",
    "https://sns.x.y.amazonaws.com/a.pem",
    "https://169.254.169.254/latest/a.pem",
    "https://127.0.0.1/a.pem",
    "https://localhost/a.pem",
    "file:///etc/passwd.pem",
    "https://[::1]/a.pem",
    "https://sns.eu-central-1.amazonaws.com/a.txt",
    "https://sns.eu-central-1.amazonaws.com:x/a.pem",
    " https://sns.eu-central-1.amazonaws.com/a.pem",
    "",
    None,
]


@pytest.mark.parametrize("url", HOSTILE)
async def test_a_certificate_from_elsewhere_is_never_read(sns: Sns, messages: SnsMessages, url: str | None) -> None:
    message = {**sns.message(), "SigningCertURL": url}
    assert await refused(messages, message) == "EVENTS_SIGNATURE_WRONG"
    assert sns.requested == []


async def test_redirects_are_not_followed_and_failures_pause(sns: Sns, messages: SnsMessages) -> None:
    for name in ("moved", "gone"):
        message = sns.message(SigningCertURL=f"https://{sns.host}/{name}.pem")
        for _ in range(3):
            assert await refused(messages, message) == "EVENTS_NOT_VERIFIED"
    assert sns.requested == ["/moved.pem", "/gone.pem"]


async def test_a_host_that_proves_nothing_is_not_read(sns: Sns) -> None:
    async with HttpPlainClient() as client:  # does not trust its CA
        messages = SnsMessages(client, SnsRules(frozenset({TOPIC}), frozenset({sns.host})))
        assert await refused(messages, sns.message()) == "EVENTS_NOT_VERIFIED"
        await messages.aclose()


@pytest.mark.parametrize("topic", [None, "", TOPIC.upper(), TOPIC + " ", "arn:aws:sns:eu-central-1:1:raw"])
async def test_a_topic_that_nobody_has_named(sns: Sns, messages: SnsMessages, topic: str | None) -> None:
    message = {**sns.message(), "TopicArn": topic}
    assert await refused(messages, message) == "EVENTS_TOPIC_NOT_ALLOWED"
    assert sns.requested == []


async def test_the_url_to_confirm_is_one_of_sns_and_is_not_opened(sns: Sns, messages: SnsMessages) -> None:
    asked = sns.message(kind="SubscriptionConfirmation")
    await messages.require_valid(parsed(asked))
    assert messages.confirm_url(parsed(asked)) == asked["SubscribeURL"]
    amazon = "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=a&Token=b"
    assert messages.confirm_url(parsed({**asked, "SubscribeURL": amazon})) == amazon
    for url in [*HOSTILE[:5], *HOSTILE[9:16]]:
        if url != "https://sns.eu-central-1.amazonaws.com/a.txt":
            assert messages.confirm_url(parsed({**asked, "SubscribeURL": url})) is None, url
    ended = sns.message(kind="UnsubscribeConfirmation")
    assert messages.confirm_url(parsed(ended)) is None
    assert sns.requested == ["/sns.pem"]
