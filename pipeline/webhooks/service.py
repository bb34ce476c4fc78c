"""Manages webhooks: for their owners, and for operators.

Guarantee: a URL that can never be called is refused when it is given. Names are checked when they are resolved, at each
attempt: what a name leads to may change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from yarl import URL

from pipeline.core.access import DEFAULT_OWNER
from pipeline.core.errors import RequestError
from pipeline.core.public_addresses import Network, is_address, may_connect
from pipeline.core.webhooks import EventType, event_id
from pipeline.ports.webhooks import NewEvent, NewWebhook, WebhookRepository, WebhookSigner
from schemas.webhooks import Webhook, WebhookDelivery, WebhookEvent, WebhookReplay, WebhookReplayed

_REPLAYED = 10_000
_REPLAYED_CONTENTS = 1000
"""Their bodies are made again: a gateway is busy with so many for about a second."""


@dataclass(frozen=True, slots=True)
class WebhookRules:
    """`allowed`: networks that endpoints may be in besides public ones. `per_owner`: most webhooks of one owner, and of
    the installation."""

    allowed: Sequence[Network] = ()
    per_owner: int = 16


class Webhooks:
    """`owner` in every method: whose webhooks the caller may use; None: everybody's. Errors: DependencyUnavailable."""

    def __init__(self, repository: WebhookRepository, signer: WebhookSigner, rules: WebhookRules) -> None:
        self._repository = repository
        self._signer = signer
        self._rules = rules

    async def create(self, owner: str | None, url: str, events: Sequence[str], note: str) -> tuple[Webhook, str]:
        """Create a webhook that is notified of uploads of `owner`; None: of every owner's. Returns it with its secret,
        which is not shown again. Raises RequestError WEBHOOK_URL_REFUSED, WEBHOOK_LIMIT."""
        self._check(url)
        secret = self._signer.new_secret()
        new = NewWebhook(str(uuid4()), owner, url, _sorted(events), note, secret)
        return await self._repository.add(new, self._rules.per_owner), secret

    async def get(self, webhook_id: str, owner: str | None) -> Webhook:
        """Raises RequestError WEBHOOK_NOT_FOUND."""
        return await self._repository.get(webhook_id, owner)

    async def page(self, owner: str | None, before: tuple[int, str] | None, limit: int) -> Sequence[Webhook]:
        """See `WebhookRepository.page`."""
        return await self._repository.page(owner, before, limit)

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
        """Change what is given. Raises RequestError WEBHOOK_NOT_FOUND, WEBHOOK_URL_REFUSED."""
        if url is not None:
            self._check(url)
        wanted = None if events is None else _sorted(events)
        return await self._repository.change(webhook_id, owner, url=url, events=wanted, note=note, paused=paused)

    async def rotate(self, webhook_id: str, owner: str | None, overlap_seconds: int) -> tuple[Webhook, str]:
        """Replace the secret; the one before signs for `overlap_seconds`, too. Returns the new one. Raises RequestError
        WEBHOOK_NOT_FOUND."""
        secret = self._signer.new_secret()
        return await self._repository.rotate(webhook_id, owner, secret, overlap_seconds), secret

    async def remove(self, webhook_id: str, owner: str | None) -> None:
        """Delete a webhook with its deliveries. Raises RequestError WEBHOOK_NOT_FOUND."""
        await self._repository.remove(webhook_id, owner)

    async def test(self, webhook_id: str, owner: str | None) -> WebhookDelivery:
        """Queue an event of type `webhook.test` for this webhook. It is sent as any other, so not while the webhook is
        paused. Raises RequestError WEBHOOK_NOT_FOUND."""
        webhook = await self._repository.get(webhook_id, owner)
        test_id, now = str(uuid4()), datetime.now(UTC)
        event = WebhookEvent(type=EventType.TEST, timestamp=now, data={"webhook_id": webhook.id, "note": webhook.note})
        new = NewEvent(
            event_id(EventType.TEST, test_id),
            EventType.TEST,
            webhook.owner or DEFAULT_OWNER,
            test_id,
            now,
            event.body(),
        )
        return await self._repository.test(webhook.id, new)

    async def deliveries(
        self, webhook_id: str, owner: str | None, state: str | None, before_id: int | None, limit: int
    ) -> Sequence[WebhookDelivery]:
        """Deliveries of a webhook, newest first. Raises RequestError WEBHOOK_NOT_FOUND."""
        webhook = await self._repository.get(webhook_id, owner)
        return await self._repository.deliveries(webhook.id, state, before_id, limit)

    async def replay(self, webhook_id: str, owner: str | None, wanted: WebhookReplay) -> WebhookReplayed:
        """Queue matching events again, oldest first; with `contents`, those of contents that it was never sent. Raises
        RequestError WEBHOOK_NOT_FOUND."""
        webhook = await self._repository.get(webhook_id, owner)
        if wanted.contents:
            return await self._repository.replay_contents(webhook.id, wanted, _REPLAYED_CONTENTS)
        return await self._repository.replay(webhook.id, wanted, _REPLAYED)

    def _check(self, text: str) -> None:
        try:
            url = URL(text)
            host = url.host or ""
            valid = bool(host) and url.user is None and url.password is None and not url.fragment
        except ValueError:
            raise RequestError("WEBHOOK_URL_REFUSED", reason="it is not a valid URL") from None
        if not valid:
            raise RequestError("WEBHOOK_URL_REFUSED", reason="it must have a host, and no user or fragment")
        if url.scheme != "https" and not self._rules.allowed:
            raise RequestError("WEBHOOK_URL_REFUSED", reason="it must begin with https://")
        if is_address(host) and not may_connect(host, self._rules.allowed):
            raise RequestError("WEBHOOK_URL_REFUSED", reason=f"the address {host} is not public")
        if is_address(host) and url.scheme != "https" and may_connect(host, ()):
            raise RequestError("WEBHOOK_URL_REFUSED", reason="it must begin with https://")


def _sorted(events: Sequence[str]) -> list[str]:
    return sorted(set(events))
