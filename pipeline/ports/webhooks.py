"""Webhooks: endpoints, the events that they are notified of, and how they are called."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from pipeline.core.webhooks import AfterFailure, Attempt, EventType

if TYPE_CHECKING:
    from schemas.webhooks import Webhook, WebhookDelivery, WebhookReplay, WebhookReplayed


@dataclass(frozen=True, slots=True)
class NewWebhook:
    """`owner`: of whose uploads it is notified; None: of every owner's. No `events`: of every event."""

    webhook_id: str
    owner: str | None
    url: str
    events: Sequence[str]
    note: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event of an upload. `body`: what endpoints receive, the same bytes at each attempt."""

    event_id: str
    type: EventType
    owner: str
    upload_id: str
    occurred_at: datetime
    body: str


@dataclass(frozen=True, slots=True)
class NewsItem:
    """A fact that a Redis script has recorded. `fields`: see `add_news` in `lifecycle.lua`."""

    item_id: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery that its claimer attempts now. `attempts`: this one included. `secrets`: the current one first."""

    delivery_id: int
    webhook_id: str
    event_id: str
    type: str
    body: str
    url: str
    secrets: Sequence[str] = field(repr=False)
    attempts: int
    age_seconds: float


@dataclass(frozen=True, slots=True)
class OutboxFigures:
    """What metrics show; counts are bounded. `held`: events that are not given to webhooks yet. `oldest_seconds`: age
    of the oldest pending delivery of a webhook that is not paused."""

    pending: int
    held: int
    paused: int
    failing: int
    oldest_seconds: float


class News(Protocol):
    """Facts of one temp volume that Redis holds, in order. Errors: DependencyUnavailable."""

    async def announce(self) -> None:
        """Have scripts record facts, for the next days."""

    async def read(self, limit: int) -> Sequence[NewsItem]:
        """The oldest facts. They stay until they are removed."""

    async def remove(self, item_ids: Sequence[str]) -> None:
        """Remove facts that are kept elsewhere now. Idempotent."""

    async def count(self) -> int:
        """Facts that nobody has removed."""


class Outbox(Protocol):
    """Events and deliveries in PostgreSQL. Errors: DependencyUnavailable."""

    async def held(self, volume: str, limit: int) -> Sequence[str]:
        """Ids of events of this volume, or of none, that are not given to webhooks yet, oldest first."""

    async def add(self, events: Sequence[NewEvent]) -> None:
        """Record events and give them to webhooks, in their order. Idempotent: a known event stays as it is."""

    async def release(self, event_ids: Sequence[str]) -> None:
        """Give events that were held to webhooks. Idempotent."""

    async def claim(
        self, limit: int, lease_seconds: float, busy: Collection[str], each: int
    ) -> Sequence[ClaimedDelivery]:
        """Deliveries that are due, each claimed by one caller until its lease ends: of each upload the earliest one, of
        each webhook up to `each`, and none of the webhooks `busy`."""

    async def delivered(self, delivery_id: int, status: int) -> None:
        """Record a success. Idempotent."""

    async def failing(self, webhook_id: str, error: str) -> tuple[int, float]:
        """Count a failed attempt of a webhook. Returns its consecutive failures, and for how many seconds it fails."""

    async def failed(self, delivery_id: int, attempt: Attempt, after: AfterFailure) -> None:
        """Record a failed attempt and what follows."""

    async def unclaim(self, delivery_ids: Sequence[int]) -> None:
        """Deliveries whose attempt was interrupted are due at once. Idempotent."""

    async def give_up(self) -> None:
        """Give up deliveries that are too old. Idempotent."""

    async def purge(self, kept_seconds: float) -> None:
        """Delete events that were recorded longer ago, unless a delivery is pending. Idempotent."""

    async def figures(self) -> OutboxFigures:
        """What metrics show."""


class WebhookRepository(Protocol):
    """Webhooks in PostgreSQL. `owner`: only those of this owner; None: of any. Errors: DependencyUnavailable, and
    RequestError WEBHOOK_NOT_FOUND where an id is given."""

    async def add(self, new: NewWebhook, limit: int) -> Webhook:
        """Keep a webhook. Raises WEBHOOK_LIMIT if its owner has `limit` of them."""

    async def get(self, webhook_id: str, owner: str | None) -> Webhook:
        """One webhook."""

    async def page(self, owner: str | None, before: tuple[int, str] | None, limit: int) -> Sequence[Webhook]:
        """Webhooks, newest first, from before (created_at in microseconds since 1970, id)."""

    async def change(
        self,
        webhook_id: str,
        owner: str | None,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        note: str | None = None,
        paused: bool | None = None,
    ) -> Webhook:
        """Change what is given."""

    async def rotate(self, webhook_id: str, owner: str | None, secret: str, overlap_seconds: int) -> Webhook:
        """Replace the secret; the one before signs for `overlap_seconds`, too."""

    async def remove(self, webhook_id: str, owner: str | None) -> None:
        """Delete a webhook and its deliveries."""

    async def test(self, webhook_id: str, event: NewEvent) -> WebhookDelivery:
        """Queue a delivery of an event that only this webhook receives."""

    async def deliveries(
        self, webhook_id: str, state: str | None, before_id: int | None, limit: int
    ) -> Sequence[WebhookDelivery]:
        """Deliveries of a webhook, newest first; empty if there is no such webhook."""

    async def replay(self, webhook_id: str, wanted: WebhookReplay, limit: int) -> WebhookReplayed:
        """Queue up to `limit` matching events again."""

    async def replay_contents(self, webhook_id: str, wanted: WebhookReplay, limit: int) -> WebhookReplayed:
        """Queue `content.ready` of up to `limit` matching contents of which this webhook has no delivery; none if there
        is no such webhook."""


class WebhookSender(Protocol):
    """Calls endpoints."""

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Attempt:
        """POST `body`, within a time limit, to a permitted address. Every failure is an `Attempt`."""


class WebhookSigner(Protocol):
    """Signs deliveries as Standard Webhooks specifies."""

    def new_secret(self) -> str:
        """A secret with 256 random bits."""

    def headers(self, secrets: Sequence[str], event_id: str, timestamp: datetime, body: str) -> Mapping[str, str]:
        """The headers of a delivery, with a signature of each secret."""
