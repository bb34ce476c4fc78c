"""Copies facts from Redis to the outbox, and gives events that PostgreSQL has recorded to webhooks.

Guarantee: a fact leaves Redis after the outbox has it. An event that PostgreSQL has recorded is released only after
everything that Redis had recorded before it, so that the events of an upload are in order, whichever store holds them.
Several processes may run this at once.
"""

from __future__ import annotations

from pipeline.logs import Log, logger
from pipeline.ports.webhooks import NewEvent, News, NewsItem, Outbox
from pipeline.telemetry import WEBHOOK_NEWS
from pipeline.webhooks.events import event_of

_BATCH = 500


class NewsCopy:
    """The facts of one temp volume."""

    def __init__(self, news: News, outbox: Outbox, volume: str) -> None:
        self._news = news
        self._outbox = outbox
        self._volume = volume

    async def run(self) -> bool:
        """Copy what there is. Returns whether webhooks may have been given something. Raises DependencyUnavailable."""
        await self._news.announce()
        held = await self._outbox.held(self._volume, _BATCH)
        copied = False
        while items := await self._news.read(_BATCH):
            if events := [event for item in items if (event := _event(item)) is not None]:
                await self._outbox.add(events)
                copied = True
            await self._news.remove([item.item_id for item in items])
            if len(items) < _BATCH:
                break
        if held:
            await self._outbox.release(held)
        WEBHOOK_NEWS.labels(self._volume).set(await self._news.count())
        return copied or bool(held)


def _event(item: NewsItem) -> NewEvent | None:
    """None: the fact is damaged, or of a release that knows more events. It must not hold up the others."""
    try:
        return event_of(item.fields)
    except (KeyError, ValueError) as error:
        logger(upload_id=item.fields.get("upload_id")).error(
            Log.WEBHOOK_FACT_DAMAGED, fact=item.fields.get("type"), reason=str(error)
        )
        return None
