"""Webhooks: the endpoints that are notified of events, their deliveries, and what a delivery contains.

Deliveries follow Standard Webhooks 1.0. Times are RFC 3339 in UTC.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from schemas import webhook_examples as examples
from schemas.content import Content
from schemas.media import MediaMetadata
from schemas.numbers import WHOLE
from schemas.owners import OwnerName
from schemas.times import UtcTime

EventName = Literal[
    "upload.admitted",
    "media.known",
    "content.ready",
    "content.changed",
    "upload.failed",
    "upload.expired",
    "content.deleted",
]
DeliveryState = Literal["pending", "delivered", "failed"]
PauseName = Literal["requested", "failing", "gone"]

WebhookUrl = Annotated[
    str, StringConstraints(min_length=9, max_length=2000, pattern=r"^https?://[!-~]+$", strip_whitespace=True)
]
Note = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Events = Annotated[list[EventName], Field(max_length=7)]
_MOST_DELIVERIES = 1000


class WebhookRequest(BaseModel):
    """Body of `POST /v1/webhooks`."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [examples.WEBHOOK_REQUEST]})

    url: WebhookUrl = Field(
        description="Receives the events by POST. It must be https and lead to a public address, unless "
        "SLUICE_WEBHOOK_NETWORKS names its network"
    )
    events: _Events = Field(default_factory=list, description="What it is notified of; empty: every event")
    owner: OwnerName | None = Field(
        None,
        description="Only for callers with the scope `operate`: the owner of whose uploads it is notified; null: of "
        "every owner's. Other callers create webhooks for their own owner",
    )
    note: Note = Field("", description="What it is for, shown in lists")


class WebhookChange(BaseModel):
    """Body of `PATCH /v1/webhooks/{webhook}`: what is left out stays as it is."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"events": ["content.ready"], "paused": False}]}
    )

    url: WebhookUrl | None = Field(None, description="Its new URL")
    events: _Events | None = Field(None, description="What it is notified of from now on; empty: every event")
    note: Note | None = None
    paused: bool | None = Field(
        None, description="true: send nothing until it is resumed. false: resume it, also after it kept failing"
    )


class Webhook(BaseModel):
    """An endpoint that is notified of events. The secret is shown only when it is made."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [examples.WEBHOOK]})

    id: str
    owner: str | None = Field(description="Of whose uploads it is notified; null: of every owner's")
    url: str
    events: list[str] = Field(description="What it is notified of; empty: every event")
    note: str
    created_at: datetime
    state: Literal["active", "failing", "paused"] = Field(
        description="active: its last delivery succeeded, or there was none. failing: deliveries fail and are "
        "repeated. paused: nothing is sent until it is resumed"
    )
    pause_reason: PauseName | None = Field(
        description="requested: somebody paused it. failing: it kept failing. gone: it responded 410"
    )
    failures: int = Field(ge=0, description="Consecutive failed attempts")
    failing_since: datetime | None = Field(description="Time of the first of them")
    last_error: str | None = Field(description="Why the last attempt failed; null after a success")
    last_success_at: datetime | None = Field(description="Time of a recent success, to the minute")
    pending: int = Field(ge=0, description=f"Deliveries that wait, counted up to {_MOST_DELIVERIES}")
    previous_secret_until: datetime | None = Field(
        description="After a rotation: until then deliveries are signed with the previous secret, too"
    )


class WebhookSecret(BaseModel):
    """A webhook with the secret that signs its deliveries. The secret is not shown again."""

    model_config = ConfigDict(
        frozen=True, json_schema_extra={"examples": [{"webhook": examples.WEBHOOK, "secret": examples.SECRET}]}
    )

    webhook: Webhook
    secret: str = Field(description="`whsec_` and 32 bytes in base64, as libraries for Standard Webhooks take it")


class WebhookRotation(BaseModel):
    """Body of `POST /v1/webhooks/{webhook}/rotate`."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [{"overlap_seconds": 3600}]})

    overlap_seconds: Annotated[int, Field(ge=0, le=7 * 24 * 3600, strict=True), WHOLE] = Field(
        24 * 3600,
        description="For how long deliveries are signed with the previous secret, too; 0: it signs nothing from now on",
    )


class WebhookDelivery(BaseModel):
    """An event that a webhook is notified of, and how far that is."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [examples.DELIVERY]})

    id: int = Field(description="Grows from delivery to delivery")
    event_id: str = Field(
        description="The header `webhook-id`: the same for each attempt, so receivers can ignore repeats"
    )
    type: str
    upload_id: str
    state: DeliveryState = Field(
        description="pending: it is sent, or repeated, at `due_at`, after earlier ones of the same upload. failed: it "
        "was given up after three days, and can be replayed"
    )
    attempts: int = Field(ge=0)
    created_at: datetime
    due_at: datetime | None = Field(description="Time of the next attempt; during an attempt, when it is repeated")
    finished_at: datetime | None
    status: int | None = Field(description="HTTP status of the last response; null: there was none")
    error: str | None = Field(description="Why the last attempt failed")


class WebhookReplay(BaseModel):
    """Body of `POST /v1/webhooks/{webhook}/replay`: which events are delivered again. All filters must match. Without
    a filter: every event that is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [{"state": "failed"}]})

    deliveries: list[Annotated[int, Field(ge=1, le=2**63 - 1, strict=True), WHOLE]] = Field(
        default_factory=list, max_length=_MOST_DELIVERIES, description="Only the events of these deliveries"
    )
    state: Literal["delivered", "failed"] | None = Field(
        None, description="Only events whose last delivery to this webhook has this state"
    )
    events: _Events = Field(default_factory=list, description="Only events of these types")
    upload_id: (
        Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$")] | None
    ) = Field(None, description="Only events of this upload")
    since: UtcTime | None = Field(None, description="Only events from this time on")
    until: UtcTime | None = Field(None, description="Only events before this time")
    contents: bool = Field(
        False,
        description="true: instead of events that are kept, `content.ready` of each content that the webhook was never "
        "sent, made from its row; for contents from before the webhook. Goes with `upload_id`, `since`, `until` and "
        "`owner`",
    )
    owner: OwnerName | None = Field(None, description="With `contents`: only contents of this owner")

    @model_validator(mode="after")
    def _in_order(self) -> WebhookReplay:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("`since` must be before `until`")
        if self.contents and (self.deliveries or self.state or self.events):
            raise ValueError("`contents` goes with `upload_id`, `since`, `until` and `owner` only")
        if self.owner is not None and not self.contents:
            raise ValueError("`owner` needs `contents`")
        return self


class WebhookReplayed(BaseModel):
    """What a replay has queued."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"queued": 37, "more": False}]})

    queued: int = Field(ge=0, description="Events that are delivered again. Those that are pending anyway do not count")
    more: bool = Field(description="More events match than one request queues; repeat it later")


class UploadFacts(BaseModel):
    """`data` of `upload.admitted`, `upload.failed` and `upload.expired`."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [examples.UPLOAD_FACTS]})

    upload_id: str
    owner: str
    filename: str
    size_bytes: int = Field(ge=0)
    content_type: str = Field(description="As the client declared it")
    metadata: dict[str, str] = Field(description="Sent by the client when it created the upload")
    error_code: str | None = Field(None, description="Why the upload ended, from the error catalogue")
    error: str | None = Field(None, description="The same as a sentence")


class MediaFacts(UploadFacts):
    """`data` of `media.known`, mostly sent before the last segment has arrived."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [examples.MEDIA_FACTS]})

    media: MediaMetadata


class ContentFacts(BaseModel):
    """`data` of `content.ready` and `content.changed`."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [examples.CONTENT_FACTS]})

    upload_id: str = Field(description="The content has the same id")
    owner: str
    content: Content


class DeletionFacts(BaseModel):
    """`data` of `content.deleted`: the API no longer shows the content."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [examples.DELETION_FACTS]})

    upload_id: str = Field(description="The id of the content")
    owner: str
    content_type: str
    size_bytes: int = Field(ge=0)


class WebhookEvent(BaseModel):
    """Body of a delivery."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [examples.EVENT]})

    type: str
    timestamp: datetime = Field(
        description="When it happened; the header `webhook-timestamp` is the time of the attempt"
    )
    data: dict[str, Any] = Field(description="Depends on `type`")
    traceparent: str | None = Field(
        None,
        description="W3C Trace Context of the request that created the upload; left out where it is not known",
        examples=["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
    )

    def body(self) -> str:
        """The bytes that are sent and signed, as text."""
        return self.model_dump_json(exclude=None if self.traceparent else {"traceparent"})
