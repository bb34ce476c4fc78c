"""A process that requests room, as a gateway does: `python -m tests.integration.admission.requester JSON`.

Prints a line for each upload that it holds room for. With `holds`, it keeps the room until it is killed.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from pathlib import Path

from pipeline.core.lifecycle import ENDED, Event, Status
from pipeline.core.windows import on_disk_bytes
from pipeline.logs import configure_logging
from tests.integration.admission.cell import BUDGET_BYTES, Cell, open_cell

LEASE_SECONDS = 6.0
"""Of uploads whose process is killed; longer than a busy machine keeps any other process from renewing its own."""


async def one_upload(cell: Cell, size_bytes: int, *, holds: bool) -> None:
    """Request room, wait, check that the disk has it, use it for a moment, end."""
    upload_id = await cell.register(size_bytes)
    await asyncio.gather(*(cell.request(upload_id) for _ in range(2)))  # two requests at once
    with cell.redis.signals.waiter("upload", upload_id) as changed:
        while (status := (await cell.redis.board.get(upload_id)).status) is Status.WAITING:
            changed.clear()
            try:
                async with asyncio.timeout(0.2):
                    await changed.wait()
            except TimeoutError:
                continue
    if status is Status.ADMITTED:
        try:
            facts = cell.volume.path(upload_id).stat()
        except FileNotFoundError:
            assert (await cell.redis.board.get(upload_id)).status in ENDED, "admitted without a temp file"
        else:
            assert facts.st_size == size_bytes, "admitted with a file of the wrong length"
            assert facts.st_blocks * 512 >= on_disk_bytes(size_bytes), "admitted without its bytes allocated"
        sys.stdout.write(f"{upload_id}\n")
        sys.stdout.flush()
        if holds:
            await asyncio.Event().wait()
        await cell.redis.ledger.renew(upload_id)
    await cell.redis.board.apply(upload_id, Event.CANCEL)


async def main(redis_url: str, namespace: str, directory: str, uploads: int, seed: int, holds: bool) -> None:
    configure_logging("json", "error")  # standard output is for the lines that the test reads
    dice = random.Random(seed)
    sizes = [dice.randint(1, BUDGET_BYTES // dice.choice((1, 4, 8))) for _ in range(uploads)]
    async with open_cell(redis_url, namespace, Path(directory), LEASE_SECONDS) as cell:
        await asyncio.gather(*(one_upload(cell, size, holds=holds) for size in sizes))


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))
