"""Makes deliveries: claims those that are due, calls their endpoints, and records what happened.

Guarantee: an event is delivered at least once, and in order per upload and webhook. A delivery is claimed for longer
than an attempt can take; if the process dies, another one repeats it when the claim ends. A success that could not be
recorded is repeated, too.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pipeline.core.errors import SluiceError
from pipeline.core.webhooks import Attempt, RetryRules, after_failure
from pipeline.logs import Log, logger
from pipeline.ports.webhooks import ClaimedDelivery, Outbox, WebhookSender, WebhookSigner
from pipeline.tasks import end_tasks
from pipeline.telemetry import (
    WEBHOOK_ATTEMPTS,
    WEBHOOK_SECONDS,
    WEBHOOKS_FAILING,
    WEBHOOKS_HELD,
    WEBHOOKS_OLDEST_SECONDS,
    WEBHOOKS_PAUSED,
    WEBHOOKS_PENDING,
)
from pipeline.tracing import Attributes, client_span, current_traceparent, note_response
from pipeline.webhooks.events import traceparent_of

_RECORDING_SECONDS = 5.0
"""What a claim lasts beyond an attempt. Recording a result may take longer: then the delivery is repeated, in order."""
_SHARE = 4
"""One webhook has at most this fraction of the deliveries at once, so that a slow endpoint does not hold up others."""
_POLL_SECONDS = 1.0
_USER_AGENT = "Sluice-Webhooks/1"


@dataclass(frozen=True, slots=True)
class DeliveryRules:
    """`concurrency`: deliveries at once; `kept_seconds`: how long events are kept."""

    retry: RetryRules = field(default_factory=RetryRules)
    concurrency: int = 64
    timeout_seconds: float = 10.0
    kept_seconds: float = 7 * 24 * 3600.0


class Deliveries:
    """Makes deliveries until it is cancelled."""

    def __init__(self, outbox: Outbox, sender: WebhookSender, signer: WebhookSigner, rules: DeliveryRules) -> None:
        self._outbox = outbox
        self._sender = sender
        self._signer = signer
        self._rules = rules
        self._each = max(1, rules.concurrency // _SHARE)
        self._running: dict[asyncio.Task[None], ClaimedDelivery] = {}
        self.wake = asyncio.Event()
        """Set it when there may be more to deliver."""

    async def run(self) -> None:
        """Make the deliveries that are due, and those that become due meanwhile. Raises DependencyUnavailable."""
        while await self._claim() or self._running:
            # Each delivery that ends may be followed by the next one of its upload.
            woken = asyncio.create_task(self.wake.wait())
            try:
                await asyncio.wait({woken, *self._running}, timeout=_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await end_tasks(woken)
            self.wake.clear()

    async def stop(self) -> None:
        """End attempts that are in progress; they are repeated at once, elsewhere. Raises DependencyUnavailable."""
        interrupted = [delivery.delivery_id for delivery in self._running.values()]
        await end_tasks(*self._running)
        if interrupted:
            await self._outbox.unclaim(interrupted)

    async def sweep(self) -> None:
        """Give up what is too old, and update metrics. Raises DependencyUnavailable."""
        await self._outbox.give_up()
        figures = await self._outbox.figures()
        WEBHOOKS_PENDING.set(figures.pending)
        WEBHOOKS_HELD.set(figures.held)
        WEBHOOKS_PAUSED.set(figures.paused)
        WEBHOOKS_FAILING.set(figures.failing)
        WEBHOOKS_OLDEST_SECONDS.set(figures.oldest_seconds)

    async def purge(self) -> None:
        """Delete events that are kept no longer. Raises DependencyUnavailable."""
        await self._outbox.purge(self._rules.kept_seconds)

    async def _claim(self) -> bool:
        """Start deliveries that are due, as far as there is room. Returns whether there were any."""
        free = self._rules.concurrency - len(self._running)
        if free <= 0:
            return False
        busy = Counter(delivery.webhook_id for delivery in self._running.values())
        full = [webhook_id for webhook_id, count in busy.items() if count >= self._each]
        lease_seconds = self._rules.timeout_seconds + _RECORDING_SECONDS
        claimed = await self._outbox.claim(free, lease_seconds, full, self._each)
        for delivery in claimed:
            task = asyncio.create_task(self._deliver(delivery), name=f"webhook-{delivery.delivery_id}")
            self._running[task] = delivery
            task.add_done_callback(self._running.pop)
        return bool(claimed)

    async def _deliver(self, delivery: ClaimedDelivery) -> None:
        """Attempt a delivery and record what happened. If that cannot be recorded, the claim ends by itself."""
        log = logger(webhook_id=delivery.webhook_id, event_id=delivery.event_id, attempt=delivery.attempts)
        began = time.monotonic()
        try:
            attempt = await self._attempt(delivery)
            WEBHOOK_SECONDS.observe(time.monotonic() - began)
            WEBHOOK_ATTEMPTS.labels("delivered" if attempt.delivered else "failed").inc()
            if attempt.delivered and attempt.status is not None:
                await self._outbox.delivered(delivery.delivery_id, attempt.status)
                log.debug(Log.WEBHOOK_DELIVERED, status=attempt.status)
            else:
                await self._failed(delivery, attempt)
                log.info(Log.WEBHOOK_ATTEMPT_FAILED, status=attempt.status, reason=attempt.error)
        except SluiceError as error:
            log.warning(Log.WEBHOOK_UNRECORDED, code=error.code, reason=error.message)
        except Exception:  # a bug; the delivery is repeated when its claim ends
            log.exception(Log.WEBHOOK_UNRECORDED)

    async def _attempt(self, delivery: ClaimedDelivery) -> Attempt:
        """Call the endpoint, in the trace of the upload."""
        of_upload = traceparent_of(delivery.body)
        facts: Attributes = {
            "sluice.webhook_id": delivery.webhook_id,
            "sluice.event_id": delivery.event_id,
            "sluice.attempt": delivery.attempts,
        }
        with client_span(f"webhook {delivery.type}", of_upload, facts):
            traceparent = current_traceparent() or of_upload
            headers = {
                "Content-Type": "application/json",
                "User-Agent": _USER_AGENT,
                **self._signer.headers(delivery.secrets, delivery.event_id, datetime.now(UTC), delivery.body),
                **({"traceparent": traceparent} if traceparent else {}),
            }
            attempt = await self._sender.send(delivery.url, headers, delivery.body.encode())
            note_response(attempt.status, failed=not attempt.delivered)
            return attempt

    async def _failed(self, delivery: ClaimedDelivery, attempt: Attempt) -> None:
        failures, failing_seconds = await self._outbox.failing(delivery.webhook_id, attempt.error or "")
        after = after_failure(
            self._rules.retry,
            attempt,
            attempts=delivery.attempts,
            age_seconds=delivery.age_seconds,
            failures=failures,
            failing_seconds=failing_seconds,
            jitter=random.random(),  # spreads retries; nothing depends on its quality
        )
        await self._outbox.failed(delivery.delivery_id, attempt, after)
        if after.pause is not None:
            logger(webhook_id=delivery.webhook_id).warning(
                Log.WEBHOOK_PAUSED, reason=after.pause, failing_seconds=round(failing_seconds)
            )
