"""Notifications as three kinds of store send them, written by hand from the stores' documentation."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from schemas.storage_events import TEST_EVENT, StorageEvents

pytestmark = pytest.mark.unit

AMAZON = """{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"eu-central-1",
"eventTime":"2025-03-01T12:00:00.000Z","eventName":"ObjectCreated:CompleteMultipartUpload",
"userIdentity":{"principalId":"AWS:AIDAJDPLRKLG7UEXAMPLE"},"requestParameters":{"sourceIPAddress":"192.0.2.1"},
"responseElements":{"x-amz-request-id":"C3D13FE58DE4C810","x-amz-id-2":"FMyUVURIY8"},
"s3":{"s3SchemaVersion":"1.0","configurationId":"sluice","bucket":{"name":"raw","ownerIdentity":
{"principalId":"A3NL1KOZZKExample"},"arn":"arn:aws:s3:::raw"},"object":{"key":"films/M%C3%BCller+%26+S%C3%B6hne+%2B1.mp4",
"size":104857600,"eTag":"d41d8cd98f00b204e9800998ecf8427e-10","versionId":"096fKKXTRTtl3on89fVO.nfljtsv6qko",
"sequencer":"0055AED6DCD90281E5"}}}]}"""

AMAZON_TEST = """{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2025-03-01T12:00:00.000Z","Bucket":"raw",
"RequestId":"5582815E1AEA5ADF","HostId":"8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR"}"""

CEPH = """{"Records":[{"eventVersion":"2.2","eventSource":"ceph:s3","awsRegion":"default",
"eventTime":"2025-03-01T12:00:00.123456Z","eventName":"ObjectCreated:Put","userIdentity":{"principalId":"tester"},
"requestParameters":{"sourceIPAddress":""},"responseElements":{"x-amz-request-id":"503a4c37-85eb-47cd-8681.4258.1",
"x-amz-id-2":"106e-default-default"},"s3":{"s3SchemaVersion":"1.0","configurationId":"sluice","bucket":{"name":"raw",
"ownerIdentity":{"principalId":"tester"},"arn":"arn:aws:s3:default::raw","id":"503a4c37.4258.1"},
"object":{"key":"a.mp4","size":1024,"eTag":"37b51d194a7513e45b56f6524f2d51f2","versionId":"","sequencer":
"F7E6D75DC742D108","metadata":[{"key":"x-amz-meta-a","val":"b"}],"tags":[]}},"eventId":"1700.37b51d19","opaqueData":""}]}"""

MINIO = """{"EventName":"s3:ObjectCreated:Put","Key":"raw/two words.mp4","Records":[{"eventVersion":"2.0",
"eventSource":"minio:s3","awsRegion":"","eventTime":"2025-03-01T12:00:00.456Z","eventName":"s3:ObjectCreated:Put",
"userIdentity":{"principalId":"minio"},"requestParameters":{"principalId":"minio","region":"","sourceIPAddress":"::1"},
"responseElements":{"x-amz-id-2":"dd9025bab4ad464b","x-amz-request-id":"17A","x-minio-deployment-id":"1",
"x-minio-origin-endpoint":"http://127.0.0.1:9000"},"s3":{"s3SchemaVersion":"1.0","configurationId":"Config","bucket":
{"name":"raw","ownerIdentity":{"principalId":"minio"},"arn":"arn:aws:s3:::raw"},"object":{"key":"two+words.mp4","size":7,
"eTag":"37b51d194a7513e45b56f6524f2d51f2","contentType":"video/mp4","userMetadata":{"content-type":"video/mp4"},
"sequencer":"17A0"}},"source":{"host":"::1","port":"","userAgent":"MinIO (linux; amd64)"}}]}"""


@pytest.mark.parametrize(
    ("text", "name"),
    [(AMAZON, "films/Müller & Söhne +1.mp4"), (CEPH, "a.mp4"), (MINIO, "two words.mp4")],
    ids=["amazon", "ceph", "minio"],
)
def test_a_creation_names_its_object(text: str, name: str) -> None:
    (record,) = StorageEvents.model_validate_json(text).records
    assert record.is_creation
    assert (record.s3.bucket.name, record.s3.object.name) == ("raw", name)
    assert record.s3.object.sequencer
    assert record.s3.object.e_tag


@pytest.mark.parametrize(
    "event",
    [
        "ObjectRemoved:Delete",
        "s3:ObjectRemoved:Delete",
        "s3:ObjectAccessed:Get",
        "ObjectTagging:Put",
        "ReducedRedundancy",
    ],
)
def test_other_events_are_not_creations(event: str) -> None:
    (record,) = StorageEvents.model_validate_json(CEPH.replace("ObjectCreated:Put", event)).records
    assert not record.is_creation


def by_sns(message: str, kind: str = "Notification") -> str:
    return json.dumps(
        {
            "Type": kind,
            "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
            "TopicArn": "arn:aws:sns:eu-central-1:123456789012:raw",
            "Subject": "Amazon S3 Notification",
            "Message": message,
            "SubscribeURL": "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=t",
            "Timestamp": "2025-03-01T12:00:00.000Z",
            "SignatureVersion": "1",
        }
    )


@pytest.mark.parametrize("text", [AMAZON, CEPH, MINIO, AMAZON_TEST])
def test_a_notification_through_sns_is_the_same(text: str) -> None:
    bare = StorageEvents.model_validate_json(text)
    wrapped = StorageEvents.model_validate_json(by_sns(text))
    assert not wrapped.records
    assert wrapped.unwrapped() == bare.unwrapped() == bare


@pytest.mark.parametrize("message", ["", "hello", "[]", '{"Records": 1}'])
def test_other_messages_through_sns_are_refused(message: str) -> None:
    with pytest.raises(ValidationError):
        StorageEvents.model_validate_json(by_sns(message)).unwrapped()


@pytest.mark.parametrize("kind", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
def test_a_subscription_request_is_recognized(kind: str) -> None:
    asked = StorageEvents.model_validate_json(by_sns("You have chosen to subscribe to the topic.", kind))
    assert asked.is_about_subscription
    assert asked.subscribe_url
    assert not StorageEvents.model_validate_json(by_sns(AMAZON)).is_about_subscription


def test_a_test_event_has_no_records() -> None:
    events = StorageEvents.model_validate_json(AMAZON_TEST)
    assert (events.event, events.records) == (TEST_EVENT, [])
