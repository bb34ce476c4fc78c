"""The Lua scripts, one file each, named after what they change or read.

Guarantee: every change of an upload's state is one script, so it happens completely or not at all, and Redis' clock is
the only clock. Each script begins with what it uses of the lifecycle and the stage graphs, written as Lua tables from
`core.lifecycle` and `core.transports`, and of the shared functions (`composed.py`).

Redis does not undo what a script has written before an error. No state of the server stops a script between two writes:
Redis refuses its first write or none (out of memory, read-only, failed save, too few replicas). Only a user's rights
are checked at each command, by Redis 7 too. Therefore every script that writes first proves its rights (`rights.lua`):
from Redis 7 on by asking Redis, and on Redis 6 by trying each command that it uses. `server_probe.lua` runs every
command once, for /readyz and `sluice doctor`, and before the first script of a process.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import InvalidResponse

from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.scripts.composed import source
from pipeline.core.errors import DependencyUnavailable

__all__ = ["NAMES", "Scripts", "source"]

NAMES = (
    "append_begin",
    "append_length",
    "append_record",
    "append_restore",
    "cell_claim",
    "owner_recount",
    "segment_abandon",
    "segment_claim",
    "segment_given",
    "segment_hold",
    "segment_invalidate",
    "segment_keep_session",
    "segment_pending",
    "segment_received",
    "segment_release",
    "segment_requeue",
    "segment_restore",
    "segment_session_lost",
    "segment_stored",
    "segment_unaccounted",
    "server_probe",
    "stage_fail",
    "stage_finish",
    "stage_idle",
    "stage_outage",
    "stage_overdue",
    "stage_park",
    "stage_renew",
    "stage_requeue",
    "stage_retry",
    "stage_start",
    "stage_stopped",
    "upload_apply",
    "upload_busy",
    "upload_cleaned",
    "upload_complete",
    "upload_create",
    "upload_grant",
    "upload_purge",
    "upload_rebuild",
    "upload_snapshots",
    "volume_adopt",
    "volume_back",
    "volume_confirm",
    "volume_drain",
    "volume_follow",
    "volume_give",
    "volume_given",
    "volume_open",
    "volume_overdue",
    "volume_postpone",
    "volume_queue",
    "volume_release",
    "volume_renew",
    "volume_request",
    "volume_run",
    "volume_sample",
    "volume_standing",
    "volume_take",
    "volume_taken",
)

_LACKS_RIGHTS = frozenset({"NOPERM", "UNKNOWN"})


class Scripts:
    """Calls scripts by name. Arguments and replies are JSON objects. `compose` makes the text of a script when it is
    first called: most processes call a few of them."""

    def __init__(self, redis: Redis, prefix: str, compose: Callable[[str], str] = source) -> None:
        self._redis = redis
        self._prefix = prefix
        self._compose = compose
        self._scripts: dict[str, AsyncScript] = {}
        self._may_run = False

    async def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Run script `name`. Raises DependencyUnavailable."""
        if not self._may_run:
            await self.probe()
        try:
            return await self._call(name, arguments)
        except DependencyUnavailable as error:
            if error.detail.get("redis_code") in _LACKS_RIGHTS:
                self._may_run = False
            raise

    async def probe(self) -> None:
        """Run every command that scripts use, on a key of its own. While it raises DependencyUnavailable, no script
        runs."""
        try:
            await self._call("server_probe", {})
        except DependencyUnavailable:
            self._may_run = False
            raise
        self._may_run = True

    async def _call(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        given = {key: value for key, value in arguments.items() if value is not None}
        script = self._scripts.get(name)
        if script is None:
            script = self._scripts[name] = self._redis.register_script(self._compose(name))
        with translated():
            return _parsed(await script(keys=[self._prefix], args=[json.dumps(given)]))


def _parsed(reply: object) -> dict[str, Any]:
    """Raises InvalidResponse: something other than Redis has replied, or to another command."""
    try:
        parsed = json.loads(reply) if isinstance(reply, str | bytes) else None
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise InvalidResponse(f"a script returned {str(reply)[:80]!r}")
    return parsed
