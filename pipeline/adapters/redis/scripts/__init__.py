"""The Lua scripts, one file each, named after what they change or read.

Guarantee: every change of an upload's state is one script, so it happens completely or not at all, and Redis' clock is
the only clock. Each script begins with the lifecycle and the stage graphs as Lua tables, written from `core.lifecycle`
and `core.transports`, and with the functions of `lib.lua`.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from pipeline.adapters.redis.errors import translated
from pipeline.core.lifecycle import ENDED, Event, moves
from pipeline.core.stages import FINAL
from pipeline.core.transports import transports_table

NAMES = (
    "segment_fetched",
    "segment_invalidate",
    "segment_keep_session",
    "segment_pending",
    "segment_received",
    "segment_requeue",
    "segment_restore",
    "segment_session_lost",
    "segment_stored",
    "stage_fail",
    "stage_finish",
    "stage_idle",
    "stage_outage",
    "stage_overdue",
    "stage_renew",
    "stage_requeue",
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
)


def _tables() -> str:
    """The tables of the core as Lua source."""

    def table(value: object) -> str:
        return f"cjson.decode([==[{json.dumps(value)}]==])"

    return "\n".join(
        [
            f"local MOVES = {table({str(event): moves(event) for event in Event})}",
            f"local TRANSPORTS = {table(transports_table())}",
            f"local ENDED = {table({str(status): True for status in sorted(ENDED)})}",
            f"local FINAL = '{FINAL}'",
            "",
        ]
    )


def source(name: str) -> str:
    """The text of script `name`, as Redis runs it."""
    folder = resources.files(__name__)
    return _tables() + "".join((folder / f"{part}.lua").read_text("utf-8") for part in ("lib", name))


class Scripts:
    """Calls scripts by name. Arguments and replies are JSON objects."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._prefix = prefix
        self._scripts: dict[str, AsyncScript] = {name: redis.register_script(source(name)) for name in NAMES}

    async def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Run script `name`. Raises DependencyUnavailable."""
        given = {key: value for key, value in arguments.items() if value is not None}
        with translated():
            raw = await self._scripts[name](keys=[self._prefix], args=[json.dumps(given)])
        reply: dict[str, Any] = json.loads(raw)
        return reply
