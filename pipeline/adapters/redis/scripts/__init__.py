"""The Lua scripts, one file each, named after what they change or read.

Guarantee: every change of an upload's state is one script, so it happens completely or not at all, and Redis' clock is
the only clock. Each script begins with the lifecycle and the stage graphs as Lua tables, written from `core.lifecycle`
and `core.transports`, and with the functions of `lib.lua`, `release.lua`, `owners.lua` and `lifecycle.lua`.

Redis does not undo what a script has written before an error. No state of the server stops a script between two writes:
Redis refuses its first write or none (out of memory, read-only, failed save, too few replicas). Only a user's rights
are checked at each command, by Redis 7 too. Therefore every script first proves its rights (`rights.lua`): from Redis 7
on by asking Redis, which takes 7 µs, and on Redis 6 by trying each command, which takes 20. `server_probe.lua` runs
every command once, for /readyz and `sluice doctor`, and before the first script of a process.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import InvalidResponse

from pipeline.adapters.redis.errors import translated
from pipeline.core.errors import DependencyUnavailable
from pipeline.core.lifecycle import ENDED, Event, moves
from pipeline.core.transports import transports_table

NAMES = (
    "append_begin",
    "append_length",
    "append_record",
    "append_restore",
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
    "volume_admission",
    "volume_queue",
    "volume_sample",
    "volume_segments",
)

# Files whose functions a script uses, besides those of every script.
_SHARED: Mapping[str, tuple[str, ...]] = {
    "append_length": ("queue", "volume"),
    "upload_create": ("joining",),
    "upload_rebuild": ("joining",),
    "upload_snapshots": ("queue",),
    "volume_admission": ("queue", "volume", "volume_upgrade"),
    "volume_queue": ("queue",),
    "volume_segments": ("queue", "volume"),
}
_LACKS_RIGHTS = frozenset({"NOPERM", "UNKNOWN"})


def _literal(value: object) -> str:
    """A value of the core's tables as a Lua literal. Each call of a script makes them: decoding them from JSON would
    take three times as long, 25 µs more, which is more than the rights cost on Redis 6."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"[{_literal(key)}]={_literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "{" + ",".join(map(_literal, value)) + "}"
    return json.dumps(value)  # names and booleans, which Lua writes in the same way


def _tables() -> str:
    """The tables of the core as Lua source."""
    return "\n".join(
        [
            f"local MOVES = {_literal({event: moves(event) for event in Event})}",
            f"local TRANSPORTS = {_literal(transports_table())}",
            f"local ENDED = {_literal(dict.fromkeys(sorted(ENDED), True))}",
            "",
        ]
    )


def source(name: str) -> str:
    """The text of script `name`, as Redis runs it."""
    folder = resources.files(__name__)
    parts = ("rights", "lib", "release", "owners", "lifecycle", *_SHARED.get(name, ()), name)
    return _tables() + "".join((folder / f"{part}.lua").read_text("utf-8") for part in parts)


class Scripts:
    """Calls scripts by name. Arguments and replies are JSON objects."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._prefix = prefix
        self._scripts: dict[str, AsyncScript] = {name: redis.register_script(source(name)) for name in NAMES}
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
        with translated():
            return _parsed(await self._scripts[name](keys=[self._prefix], args=[json.dumps(given)]))


def _parsed(reply: object) -> dict[str, Any]:
    """Raises InvalidResponse: something other than Redis has replied, or to another command."""
    try:
        parsed = json.loads(reply) if isinstance(reply, str | bytes) else None
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise InvalidResponse(f"a script returned {str(reply)[:80]!r}")
    return parsed
