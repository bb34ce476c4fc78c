"""`python -m tests.harness.import_flood`: clients that import again and again, and leave after a second.

A process of its own, so that an honest client in the process of the test does not wait for them. The first line of its
input says what to do. It prints a line when they begin and, at the end of the input, how many responses had which
status.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import aiohttp

from pipeline.tasks import end_tasks

_LEAVES = aiohttp.ClientTimeout(total=1)


async def flood(url: str, headers: Mapping[str, str], keys: list[str], at_once: int) -> Counter[str]:
    """Until the end of the input."""
    statuses: Counter[str] = Counter()

    async def again(client: aiohttp.ClientSession, number: int) -> None:
        while True:
            with suppress(TimeoutError, aiohttp.ClientError):
                async with client.post(url, json={"key": keys[number % len(keys)]}, timeout=_LEAVES) as response:
                    statuses[str(response.status)] += 1

    async with aiohttp.ClientSession(headers=headers) as client:
        tasks = [asyncio.create_task(again(client, number)) for number in range(at_once)]
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
        await end_tasks(*tasks)
    return statuses


def main() -> None:
    wanted: dict[str, Any] = json.loads(sys.stdin.readline())
    sys.stdout.write(json.dumps(asyncio.run(flood(**wanted))))


if __name__ == "__main__":
    main()
