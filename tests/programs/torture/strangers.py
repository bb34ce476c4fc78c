"""Checks during and after a run that no owner sees what belongs to another, and that void keys are refused.

Guarantee: a problem is a response that shows or does something. A response that says that a dependency is unavailable
is none.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from tests.harness.keys import bearer
from tests.programs.torture.callers import OWNERS, Callers
from tests.programs.torture.client import TIMEOUT, ClientUpload
from tests.programs.torture.world import World

_PAUSE_SECONDS = 0.2
_UNAVAILABLE: Final = frozenset({408, 429, 500, 502, 503, 504, 507})
# As the first try of each request: what another owner would do with an id that it has learnt.
_REQUESTS: Final = (
    ("GET", "/v1/uploads/{id}"),
    ("DELETE", "/v1/uploads/{id}"),
    ("GET", "/v1/uploads/{id}/events"),
    ("PUT", "/v1/uploads/{id}/segments/1"),
    ("POST", "/v1/uploads/{id}/complete"),
    ("POST", "/v1/uploads/{id}/tickets"),
    ("GET", "/v1/contents/{id}"),
    ("DELETE", "/v1/contents/{id}"),
    ("GET", "/v1/contents/{id}/download"),
    ("GET", "/v1/contents/{id}/thumbnail"),
)
_NOT_FOUND: Final = frozenset({"UPLOAD_NOT_FOUND", "CONTENT_NOT_FOUND"})
_REFUSED: Final = frozenset({"CREDENTIAL_EXPIRED", "CREDENTIAL_INVALID"})
_TRIES: Final = 60


@dataclass
class Strangers:
    """Tries what it must not succeed in."""

    world: World
    http: aiohttp.ClientSession
    callers: Callers
    uploads: Sequence[ClientUpload]
    problems: list[str] = field(default_factory=list, init=False)
    tries: int = field(default=0, init=False)
    """Requests that were refused as they must be, and lists that were read."""

    async def run(self) -> None:
        """Try at random, until cancelled."""
        dice = random.Random()
        while True:
            await asyncio.sleep(_PAUSE_SECONDS)
            known = [upload for upload in self.uploads if upload.upload_id]
            if known:
                await self._try(dice.choice(known), *dice.choice(_REQUESTS), dice)
            await self._list(dice.choice(OWNERS), dice.choice(("uploads", "contents")), dice)

    async def check_all(self) -> None:
        """Once no fault is injected any more: every owner's list is complete, and every void key is refused."""
        dice = random.Random(0)
        for kind in ("uploads", "contents"):
            for owner in OWNERS:
                found = await self._list(owner, kind, dice)
                ready = {u.upload_id for u in self.uploads if u.caller.owner == owner and u.status == "ready"}
                if kind == "contents" and found is not None and (missing := ready - found):
                    self.problems.append(f"{owner} does not see its contents {sorted(map(str, missing))}")
        for key in sorted(self.callers.void):
            for _ in range(_TRIES):  # until its time is over, and each gateway knows
                answers = [await self._send(gateway, "GET", "/v1/uploads", key) for gateway in self.world.gateways]
                if all(status == 401 and code in _REFUSED for status, code, _ in answers):
                    self.tries += 1
                    break
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                self.problems.append(f"a key that was revoked or has expired is accepted: {answers}")

    async def _try(self, upload: ClientUpload, method: str, path: str, dice: random.Random) -> None:
        stranger = dice.choice([owner for owner in OWNERS if owner != upload.caller.owner])
        target = path.replace("{id}", str(upload.upload_id))
        with suppress(TimeoutError, aiohttp.ClientError):
            gateway = dice.choice(self.world.gateways)
            status, code, _ = await self._send(gateway, method, target, self.callers.keys[stranger])
            if status in _UNAVAILABLE:
                return
            if code in _NOT_FOUND:
                self.tries += 1
            else:
                self.problems.append(f"{stranger}: {method} {target} of {upload.caller.owner}: {status} {code}")

    async def _list(self, owner: str, kind: str, dice: random.Random) -> set[str] | None:
        """The ids that the owner sees; None: a dependency was unavailable."""
        found: set[str] = set()
        cursor: str | None = ""
        with suppress(TimeoutError, aiohttp.ClientError):
            while cursor is not None:
                path = f"/v1/{kind}?limit=200" + (f"&cursor={cursor}" if cursor else "")
                gateway = dice.choice(self.world.gateways)
                status, code, data = await self._send(gateway, "GET", path, self.callers.keys[owner])
                if status != 200:
                    if status not in _UNAVAILABLE:
                        self.problems.append(f"{owner}: GET {path}: {status} {code}")
                    return None
                self.problems += [
                    f"{owner} sees {item['id']} of {item['owner']} in its {kind}"
                    for item in data["items"]
                    if item["owner"] != owner
                ]
                found |= {item["id"] for item in data["items"]}
                cursor = data["next_cursor"]
            self.tries += 1
            return found
        return None

    async def _send(self, gateway: str, method: str, path: str, key: str) -> tuple[int, str, Any]:
        """Status, error code and data."""
        headers = bearer(key)
        async with self.http.request(
            method, gateway + path, headers=headers, timeout=TIMEOUT, allow_redirects=False
        ) as response:
            if response.content_type != "application/json":
                return response.status, "", None
            body = json.loads(await response.read())
            return response.status, body.get("error", {}).get("code", ""), body.get("data")
