"""Notifications of S3: what a store sends when an object was created, as Amazon, Ceph's RGW and MinIO write it, bare or
in the envelope of Amazon's SNS.

Guarantee: what is not needed is not asked for, so that a store's own additions do no harm; a key comes out as the name
that the object has (in the notification it is URL-encoded, with `+` for a space). Amazon S3 user guide, "Event message
structure"; Amazon SNS developer guide, "Parsing message formats"; Ceph, "S3 Bucket Notifications Compatibility"; MinIO,
"Bucket Notifications".
"""

from __future__ import annotations

from urllib.parse import unquote_plus

from pydantic import BaseModel, ConfigDict, Field

# The "s3:" in front is MinIO's.
_CREATED = ("ObjectCreated:", "s3:ObjectCreated:")
TEST_EVENT = "s3:TestEvent"
_SNS_NOTIFICATION = "Notification"
_SUBSCRIPTION_TYPES = ("SubscriptionConfirmation", "UnsubscribeConfirmation")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class EventBucket(_Part):
    name: str = Field(min_length=1, max_length=1024)


class EventObject(_Part):
    """`size`, `e_tag`, `version_id` and `sequencer` are what the store says of the version that the event is about; the
    truth is asked of the store itself."""

    key: str = Field(min_length=1, max_length=4096)
    size: int | None = Field(None, ge=0)
    e_tag: str | None = Field(None, alias="eTag")
    version_id: str | None = Field(None, alias="versionId")
    sequencer: str | None = None

    @property
    def name(self) -> str:
        """The key as the object's name."""
        return unquote_plus(self.key)


class EventEntity(_Part):
    bucket: EventBucket
    object: EventObject


class EventRecord(_Part):
    """One thing that happened to one object."""

    event_name: str = Field(alias="eventName", max_length=255)
    s3: EventEntity

    @property
    def is_creation(self) -> bool:
        return self.event_name.startswith(_CREATED)


class StorageEvents(_Part):
    """Body of `POST /v1/events/storage`. Amazon's test event has `Event` and no records. What comes by SNS has `Type`,
    and the notification as a string in `Message`, unless raw message delivery is on."""

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
    topic: str | None = Field(None, alias="TopicArn", max_length=1024, description="SNS: where it comes from")
    subscribe_url: str | None = Field(
        None,
        alias="SubscribeURL",
        max_length=4096,
        description="SNS: whoever opens it confirms the subscription, which is silent before",
    )

    @property
    def is_about_subscription(self) -> bool:
        """SNS asks whether it may send, or says that it will not any more; no object is meant."""
        return self.type in _SUBSCRIPTION_TYPES

    def unwrapped(self) -> StorageEvents:
        """The notification without SNS around it. Raises pydantic's ValidationError when what came by SNS is none."""
        if self.type != _SNS_NOTIFICATION:
            return self
        return StorageEvents.model_validate_json(self.message or "")
