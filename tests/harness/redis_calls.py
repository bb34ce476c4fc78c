"""A typed way to await a command of redis-py, which types its synchronous and asynchronous clients as one."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, cast


async def reply(command: object) -> Any:
    """The reply to a command of the asynchronous client."""
    return await cast("Awaitable[Any]", command)
