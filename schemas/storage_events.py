"""S3 event notifications, as Amazon, Ceph's RGW and MinIO send them, directly or in the envelope of Amazon's SNS.

Guarantee: only the fields that Sluice needs are required, so a store's additional fields do no harm. `name` is the
object's real name; the notification's key is URL-encoded, with `+` for a space. Sources: Amazon S3 user guide, "Event
message structure"; Amazon SNS developer guide, "Parsing message formats"; Ceph, "S3 Bucket Notifications
Compatibility"; MinIO, "Bucket Notifications".
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from urllib.parse import unquote_plus

from pydantic import BaseModel, ConfigDict, Field

from schemas.numbers import WHOLE

# The prefix "s3:" is MinIO's.
_CREATED = ("ObjectCreated:", "s3:ObjectCreated:")
TEST_EVENT = "s3:TestEvent"
_SNS_NOTIFICATION = "Notification"
_SUBSCRIPTION_TYPES = ("SubscriptionConfirmation", "UnsubscribeConfirmation")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class EventBucket(_Part):
    name: str = Field(min_length=1, max_length=1024)


class EventObject(_Part):
    """`size`, `e_tag`, `version_id` and `sequencer` describe the version at the time of the event. The importer asks
    the store itself instead of trusting them."""

    key: str = Field(min_length=1, max_length=4096)
    size: Annotated[int, Field(ge=0, strict=True), WHOLE] | None = None
    e_tag: str | None = Field(None, alias="eTag")
    version_id: str | None = Field(None, alias="versionId")
    sequencer: str | None = None

    @property
    def name(self) -> str:
        """The object's name: the decoded key."""
        return unquote_plus(self.key)


class EventEntity(_Part):
    bucket: EventBucket
    object: EventObject


class EventRecord(_Part):
    """One event of one object."""

    event_name: str = Field(alias="eventName", max_length=255)
    s3: EventEntity

    @property
    def is_creation(self) -> bool:
        return self.event_name.startswith(_CREATED)


class StorageEvents(_Part):
    """Body of `POST /v1/events/storage`. Amazon's test event has `Event` and no records. A message through SNS has
    `Type`, and the notification as a string in `Message`, unless raw message delivery is on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "Records": [
                        {
                            "eventName": "ObjectCreated:Put",
                            "s3": {"bucket": {"name": "archive"}, "object": {"key": "raw/film.mp4", "size": 73400320}},
                        }
                    ]
                }
            ]
        }
    )

    records: list[EventRecord] = Field(default_factory=list, alias="Records", max_length=1000)
    event: str | None = Field(
        None, alias="Event", description="`s3:TestEvent`: sent once, when notifications are set up"
    )
    type: str | None = Field(
        None,
        alias="Type",
        max_length=255,
        description="SNS: `Notification`, `SubscriptionConfirmation` or `UnsubscribeConfirmation`",
    )
    message: str | None = Field(None, alias="Message", description="SNS: the notification itself, as JSON in a string")
    topic: str | None = Field(None, alias="TopicArn", max_length=1024, description="SNS: the topic that sent it")
    subscribe_url: str | None = Field(
        None,
        alias="SubscribeURL",
        max_length=4096,
        description="SNS: opening this URL confirms the subscription; SNS sends no notifications before that",
    )
    message_id: str | None = Field(None, alias="MessageId", max_length=255, description="SNS: the message's id")
    subject: str | None = Field(None, alias="Subject", max_length=1024, description="SNS: a title")
    sent_at: str | None = Field(None, alias="Timestamp", max_length=64, description="SNS: when it was published")
    token: str | None = Field(None, alias="Token", max_length=4096, description="SNS: confirms a subscription")
    signature: str | None = Field(None, alias="Signature", max_length=4096, description="SNS: in Base64")
    signature_version: str | None = Field(
        None, alias="SignatureVersion", max_length=16, description="SNS: `1` (SHA-1) or `2` (SHA-256)"
    )
    certificate_url: str | None = Field(
        None, alias="SigningCertURL", max_length=1024, description="SNS: the certificate whose key has signed"
    )

    @property
    def is_signed(self) -> bool:
        """Whether it comes in the envelope of SNS, which always has a signature."""
        return self.type in (_SNS_NOTIFICATION, *_SUBSCRIPTION_TYPES)

    @property
    def timestamp(self) -> datetime | None:
        """When SNS published it; None: not said, or not as a time with a zone."""
        try:
            found = datetime.fromisoformat(self.sent_at or "")
        except ValueError:
            return None
        return found if found.tzinfo else None

    def signed_text(self) -> str:
        """The text that SNS signs: names and values in lines, in the order of the names."""
        fields = {
            "Message": self.message,
            "MessageId": self.message_id,
            "Subject": None if self.is_about_subscription else self.subject,
            "SubscribeURL": self.subscribe_url if self.is_about_subscription else None,
            "Timestamp": self.sent_at,
            "Token": self.token if self.is_about_subscription else None,
            "TopicArn": self.topic,
            "Type": self.type,
        }
        return "".join(f"{name}\n{value}\n" for name, value in fields.items() if value is not None)

    @property
    def is_about_subscription(self) -> bool:
        """SNS asks for the subscription to be confirmed, or reports its end. Concerns no object."""
        return self.type in _SUBSCRIPTION_TYPES

    def unwrapped(self) -> StorageEvents:
        """The notification without the SNS envelope. Raises pydantic's ValidationError if the envelope holds none."""
        if self.type != _SNS_NOTIFICATION:
            return self
        return StorageEvents.model_validate_json(self.message or "")
