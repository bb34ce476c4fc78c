"""The port of store notifications: verification of their sender."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from schemas.storage_events import StorageEvents


class SignedMessages(Protocol):
    """Messages of a service that signs them."""

    async def require_valid(self, message: StorageEvents) -> None:
        """Raises RequestError EVENTS_TOPIC_NOT_ALLOWED, EVENTS_SIGNATURE_WRONG; DependencyUnavailable
        EVENTS_NOT_VERIFIED while the certificate cannot be read."""

    def confirm_url(self, message: StorageEvents) -> str | None:
        """The URL that confirms the subscription that a valid message asks for, if it is one of the service; None for
        every other message. Nothing opens it."""
