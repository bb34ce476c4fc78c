"""Checks SLUICE_CELLS: each URL leads to its cell, temp volumes have different names, and clocks agree."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from deploy.cli.doctor.findings import Findings
from deploy.cli.doctor.transport import is_local
from pipeline.adapters.plain_http import HttpPlainClient
from pipeline.core.errors import SluiceError
from pipeline.ports import PlainClient
from pipeline.settings import Settings
from schemas.health import Ready
from schemas.http import Failure, Success

_LIMIT_BYTES: Final = 64 * 1024
_MOST_SECONDS: Final = 5.0
"""By which the clocks of two cells may differ. Dates of HTTP have whole seconds."""
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class CellReply:
    """What /readyz of a cell responds. `ready`: None: it is not ready, for `reason`. `ahead_seconds`: by which its
    clock is ahead of ours, if it names a time."""

    ready: Ready | None
    reason: str = ""
    ahead_seconds: float | None = None


async def check_cells(settings: Settings, findings: Findings) -> None:
    """Only reads. Adds no finding where there is one cell."""
    if not settings.cells:
        return
    async with HttpPlainClient(settings.store_ca_file) as client:
        replies = await asyncio.gather(*(_ask(client, url) for _, url in settings.cells))
    judge_cells(dict(settings.cells), dict(zip(dict(settings.cells), replies, strict=True)), findings)


def judge_cells(urls: Mapping[int, str], replies: Mapping[int, CellReply], findings: Findings) -> None:
    """Judge what each cell has responded."""
    volumes: dict[str, list[int]] = defaultdict(list)
    for cell, reply in replies.items():
        url = urls[cell]
        if reply.ready is None:
            findings.warning(
                f"cell {cell} is not ready at {url}: {reply.reason}",
                "New uploads go to the other cells meanwhile. Gateways must reach this URL, too: check SLUICE_CELLS, "
                "name resolution and firewalls.",
            )
        elif reply.ready.cell != cell:
            findings.error(
                f"{url} is the URL of cell {cell}, and leads to a gateway of cell {reply.ready.cell}",
                "Correct SLUICE_CELLS, which is the same in every cell, or SLUICE_CELL of that gateway.",
            )
        else:
            findings.ok(f"cell {cell} is ready at {url}")
            volumes[reply.ready.volume or ""].append(cell)
        if reply.ahead_seconds is not None and abs(reply.ahead_seconds) > _MOST_SECONDS:
            findings.warning(
                f"the clock of cell {cell} differs from ours by {abs(reply.ahead_seconds):.0f} s",
                "Let NTP set the clocks of all machines: tokens, lists and limits compare times of different cells.",
            )
        if urlsplit(url).scheme == "http" and not is_local(urlsplit(url).hostname or ""):
            findings.warning(f"{url} has no TLS: clients send keys and files without it", "Serve the cell by https.")
    for volume, cells in volumes.items():
        if len(cells) > 1:
            findings.error(
                f"the cells {', '.join(map(str, cells))} have temp volumes of the same name, '{volume}'",
                "Set SLUICE_VOLUME to another name in each cell: the notify workers of a volume release its events in "
                "order.",
            )


async def _ask(client: PlainClient, url: str) -> CellReply:
    try:
        response = await client.request("GET", f"{url}/readyz", headers={}, max_bytes=_LIMIT_BYTES)
    except SluiceError as error:
        return CellReply(None, error.message.rstrip("."))
    ahead_seconds = _ahead_seconds(response.headers.get("date", ""))
    try:
        if response.status == _OK:
            return CellReply(Success[Ready].model_validate_json(response.body).data, "", ahead_seconds)
        reason = Failure.model_validate_json(response.body).error.message.rstrip(".")
    except ValueError:
        reason = f"something that is not Sluice responds with the status {response.status}"
    return CellReply(None, reason, ahead_seconds)


def _ahead_seconds(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() - time.time()
    except ValueError:
        return None
