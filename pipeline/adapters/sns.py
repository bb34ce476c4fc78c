"""Signatures of Amazon SNS: whether a message comes from a topic that the operator has named.

Guarantee: a message passes only if its topic is allowed, it is not older than `_OLDEST`, and its signature (version 1:
SHA-1, version 2: SHA-256, both RSA with PKCS #1 v1.5) was made with the key of a certificate from SNS itself. A
certificate is read by HTTPS from `sns.REGION.amazonaws.com` or a host that the operator has named, and from no
other URL that the message names; no redirect is followed. At most `_CERTIFICATES` are kept, one is fetched at most once
in `_PAUSE_SECONDS`, and requests at one moment share a fetch. No other URL of a message is opened.

Source: Amazon SNS developer guide, "Verifying the signatures of Amazon SNS messages".
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pipeline.core.errors import DependencyUnavailable, RequestError, StoreUnavailable
from pipeline.ports import PlainClient
from schemas.storage_events import StorageEvents

if TYPE_CHECKING:  # imported only where a topic is named
    from pipeline.adapters.sns_certificate import SnsCertificate

_AMAZON: Final = re.compile(r"sns\.[a-z0-9-]{1,32}\.amazonaws\.com(\.cn)?")
_VERSIONS: Final = ("1", "2")
# SNS repeats a message for up to an hour; its clock and ours may differ.
_OLDEST: Final = timedelta(hours=2)
_AHEAD: Final = timedelta(minutes=10)
_CERTIFICATES: Final = 16
_CERTIFICATE_BYTES: Final = 64 * 1024
_PAUSE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class SnsRules:
    """`topics`: the ARNs whose messages are accepted. `hosts`: with a port if it is not 443, of other servers that sign
    as SNS does."""

    topics: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Known:
    fetched: asyncio.Task[SnsCertificate]
    tried_at: float


class SnsMessages:
    """Implements `ports.SignedMessages`."""

    def __init__(
        self,
        client: PlainClient,
        rules: SnsRules,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._rules = rules
        self._now = now
        self._known: dict[str, _Known] = {}
        if rules.topics:
            from pipeline.adapters.sns_certificate import SnsCertificate

            self._read_certificate = SnsCertificate

    async def require_valid(self, message: StorageEvents) -> None:
        """See `SignedMessages.require_valid`."""
        if message.topic not in self._rules.topics:
            raise RequestError("EVENTS_TOPIC_NOT_ALLOWED", topic=message.topic or "")
        self._require_new(message.timestamp)
        url = message.certificate_url or ""
        if not self._is_trusted(url) or not urlsplit(url).path.endswith(".pem"):
            raise _refused("its SigningCertURL is no certificate of SNS")
        version = message.signature_version or ""
        if version not in _VERSIONS:
            raise _refused("its SignatureVersion is neither 1 nor 2")
        certificate = await self._certificate(url)
        reason = certificate.refusal(version, message.signature or "", message.signed_text().encode(), self._now())
        if reason:
            raise _refused(reason)

    def confirm_url(self, message: StorageEvents) -> str | None:
        """See `SignedMessages.confirm_url`."""
        url = message.subscribe_url or ""
        return url if message.type == "SubscriptionConfirmation" and self._is_trusted(url) else None

    def _require_new(self, timestamp: datetime | None) -> None:
        """Refuse old messages, so that a recorded message can be replayed for a bounded time only."""
        now = self._now()
        if timestamp is None or not now - _OLDEST <= timestamp <= now + _AHEAD:
            raise _refused(f"its Timestamp is not within the last {_OLDEST.seconds // 3600} hours")

    def _is_trusted(self, url: str) -> bool:
        if not url.isascii() or not url.isprintable() or "\\" in url or "@" in url or " " in url:
            return False  # parsers of URLs disagree about these
        try:
            parts = urlsplit(url)
            port = parts.port or 443
        except ValueError:
            return False
        host = parts.hostname or ""
        named = host if port == 443 else f"{host}:{port}"
        amazon = port == 443 and _AMAZON.fullmatch(host) is not None
        return parts.scheme == "https" and not parts.fragment and (amazon or named in self._rules.hosts)

    async def _certificate(self, url: str) -> SnsCertificate:
        known = self._known.get(url)
        if known is None or (_has_failed(known.fetched) and time.monotonic() - known.tried_at >= _PAUSE_SECONDS):
            while len(self._known) >= _CERTIFICATES:
                del self._known[next(iter(self._known))]
            known = _Known(asyncio.create_task(self._fetch(url), name="sns-certificate"), time.monotonic())
            self._known[url] = known
        return await asyncio.shield(known.fetched)

    async def _fetch(self, url: str) -> SnsCertificate:
        try:
            response = await self._client.request("GET", url, headers={}, max_bytes=_CERTIFICATE_BYTES)
        except StoreUnavailable as error:
            raise DependencyUnavailable("EVENTS_NOT_VERIFIED", reason=str(error.detail.get("reason"))) from error
        if response.status != 200:
            raise DependencyUnavailable("EVENTS_NOT_VERIFIED", reason=f"the response is {response.status}")
        try:
            return self._read_certificate(response.body)
        except ValueError:
            raise DependencyUnavailable("EVENTS_NOT_VERIFIED", reason="the response is no certificate") from None

    async def aclose(self) -> None:
        """End fetches that still run."""
        for known in self._known.values():
            known.fetched.cancel()
        await asyncio.gather(*(known.fetched for known in self._known.values()), return_exceptions=True)


def _has_failed(fetched: asyncio.Task[SnsCertificate]) -> bool:
    return fetched.done() and (fetched.cancelled() or fetched.exception() is not None)


def _refused(reason: str) -> RequestError:
    return RequestError("EVENTS_SIGNATURE_WRONG", reason=reason)
