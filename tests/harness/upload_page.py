"""The page /upload as a test sees it: files that are given to it, and what its cards show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.chromium import Page

_CARDS = """[...document.querySelectorAll('.card')].map(card => ({
  name: card.querySelector('.name').firstChild.textContent,
  badge: card.querySelector('.badge').textContent,
  state: card.querySelector('.state').textContent,
  why: card.querySelector('.error').hidden ? '' : card.querySelector('.why').textContent,
  code: card.querySelector('.code').textContent,
  media: card.querySelector('.media').textContent,
  sent: card.querySelector('progress').value,
  pictured: !card.querySelector('img').hidden,
}))"""
_WATCH = """
globalThis.seen = [];
new MutationObserver(() => {
  const now = JSON.stringify(%s);
  if (globalThis.seen.at(-1) !== now) globalThis.seen.push(now);
}).observe(document.getElementById('list'), {subtree: true, childList: true, characterData: true, attributes: true});
"""


@dataclass(frozen=True)
class UploadPage:
    """/upload of a gateway in a page of Chromium."""

    page: Page
    url: str

    async def open(self, credential: str = "") -> None:
        await self.page.send("Network.enable")
        fragment = f"#{credential}" if credential else ""
        await self.page.open(f"{self.url}/upload{fragment}", "document.documentElement.dataset.drawn")
        await self.watch()

    async def watch(self) -> None:
        """Record what the cards show from now on; see `history`."""
        await self.page.run(_WATCH % _CARDS)

    async def history(self) -> list[list[dict[str, Any]]]:
        """What the cards have shown since `watch`, oldest first."""
        return [json.loads(text) for text in await self.page.run("globalThis.seen")]

    async def reload(self) -> None:
        await self.page.send("Page.reload")
        await self.page.until("document.documentElement.dataset.drawn && !globalThis.seen")
        await self.watch()

    async def give(self, *files: Path, to: str = "files") -> None:
        """Put files into an <input>, as a person who chooses them does."""
        document = await self.page.send("DOM.getDocument")
        found = await self.page.send("DOM.querySelector", nodeId=document["root"]["nodeId"], selector=f"#{to}")
        await self.page.send("DOM.setFileInputFiles", nodeId=found["nodeId"], files=[str(file) for file in files])

    async def network(self, *, offline: bool = False, bytes_per_second: int = -1) -> None:
        await self.page.send(
            "Network.emulateNetworkConditions",
            offline=offline,
            latency=0,
            downloadThroughput=-1,
            uploadThroughput=bytes_per_second,
        )

    async def cards(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.page.run(_CARDS)
        return found

    async def until(self, badges: Sequence[str]) -> list[dict[str, Any]]:
        """Wait until the cards have these badges; what they show."""
        await self.page.until(
            f"JSON.stringify([...document.querySelectorAll('.badge')].map(one => one.textContent)) === "
            f"{json.dumps(json.dumps(list(badges), separators=(',', ':')))}"
        )
        return await self.cards()

    async def press(self, action: str) -> None:
        await self.page.run(f"document.querySelector('[data-action={action}]').click()")
